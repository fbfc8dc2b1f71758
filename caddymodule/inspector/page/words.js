// How values are put into words.

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const date = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });

export function clock(at) {
	const when = new Date(at);
	const today = new Date().toDateString() === when.toDateString();
	return today ? time.format(when) : `${date.format(when)} ${time.format(when)}`;
}

export function hourAndMinute(at) {
	return minute.format(new Date(at));
}

// 12 s, 3 min, 5 h, 2 days
export function span(ms) {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min`;
	if (s < 48 * 3600) return `${Math.floor(s / 3600)} h`;
	return `${Math.floor(s / 86400)} days`;
}

// A length of time to the precision that matters: 40 ms, 1.2 s, 3 min 20 s.
export function duration(ms) {
	const sign = ms < 0 ? "−" : "";
	ms = Math.abs(ms);
	if (ms > 0 && ms < 0.1) return "< 0.1 ms";
	if (ms < 1) return `${sign}${Number(ms.toFixed(1))} ms`;
	if (ms < 1000) return `${sign}${Math.round(ms)} ms`;
	if (ms < 10_000) return `${sign}${(ms / 1000).toFixed(1)} s`;
	const s = Math.round(ms / 1000);
	if (s < 60) return `${sign}${s} s`;
	if (s < 3600) return `${sign}${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
	return sign + span(s * 1000);
}

export function age(ms) {
	if (ms === null) return "";
	return ms < 0 ? `${duration(-ms)} ahead` : duration(ms);
}

export function size(bytes) {
	if (bytes < 1000) return `${bytes} B`;
	if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`;
	return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export function count(n, one, many) {
	return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}

// Which of several gates verified nothing for an hour, since the others hide it.
export function silent(gates, since, now) {
	const hour = 3_600_000;
	if (gates.length < 2 || now - since < hour) return "";
	const long = gates.filter((g) => g.configured)
		.map((g) => ({ name: g.name, for: g.last_verified ? now - Date.parse(g.last_verified) : Infinity }))
		.filter((g) => g.for > hour)
		.sort((a, b) => b.for - a.for)
		.map((g) => `${g.name} (${g.for === Infinity ? "not yet" : `${span(g.for)} ago`})`);
	return long.length ? ` Verified nothing in the last hour: ${long.join(", ")}.` : "";
}

const notNow = new Set([408, 425, 429]);

// What became of a delivery: its words, its mark and its colour.
export function outcome(d) {
	if (d.verdict === "verified") {
		if (d.status >= 500 || notNow.has(d.status)) {
			return { text: "Verified, but your app did not take it", mark: "trouble", kind: "bad" };
		}
		if (d.status >= 400) {
			return { text: "Verified, but your app refused it", mark: "attention", kind: "look" };
		}
		return { text: "Verified and let through", mark: "ok", kind: "good" };
	}
	if (d.verdict === "duplicate" && !d.monitored) {
		return { text: "Answered without delivering: duplicate", mark: "same", kind: "soft" };
	}
	if (d.monitored) {
		return { text: `Would refuse: ${d.verdict}`, note: "Only monitored, so it went through.", mark: "would", kind: "look" };
	}
	return { text: `Refused: ${d.verdict}`, mark: "refused", kind: "bad" };
}

export function capital(text) {
	return text ? text[0].toUpperCase() + text.slice(1) : "";
}
