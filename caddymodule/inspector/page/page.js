// The page: it fetches what there is, follows the stream, and draws. Everything
// that came from outside is set as text.

import { drawAges, drawMinutes } from "./charts.js";
import { age, capital, clock, count, duration, hourAndMinute, outcome, silent, size, span } from "./words.js";

const byID = (id) => document.getElementById(id);
const KEPT = 2000, PAGE = 100;

let deliveries = []; // the newest first
let summary = null;
let skew = 0; // what the gate's clock is ahead of this one
let limit = PAGE;
let paused = false;
let fetching = null; // what the stream brings while a list is being fetched
let fresh = new Set(); // just arrived
let known = new Set(); // of all that are there, since the stream and the list tell the same
const now = () => Date.now() + skew;

// --- what is fetched

async function fetchJSON(path) {
	const answer = await fetch(path, { cache: "no-store" });
	if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
	return answer.json();
}

const keyOf = (d) => JSON.stringify(d);

// unknown returns those that are not there yet, and counts them as being there.
function unknown(batch) {
	const left = batch.filter((d) => !known.has(keyOf(d)));
	for (const d of left) known.add(keyOf(d));
	return left;
}

async function refreshDeliveries() {
	if (fetching) return;
	fetching = [];
	try {
		const all = await fetchJSON(`deliveries?limit=${KEPT}`);
		known = new Set(all.map(keyOf));
		deliveries = unknown(fetching).concat(all);
	} finally {
		fetching = null;
	}
	renderRows();
}

async function refreshSummary() {
	summary = await fetchJSON("summary");
	skew = Date.parse(summary.now) - Date.now();
	renderGates();
	renderState();
	renderPanels();
}

let due = null;
// soon refreshes the summary, but not for each delivery of a flood.
function soon(wait = 700) {
	due ??= setTimeout(async () => {
		due = null;
		try { await refreshSummary(); } catch { /* the connection says so */ }
	}, wait);
}

// --- the stream

let source = null, wasLost = false, reason = "";

function connection(state, words) {
	const element = byID("connection");
	element.dataset.state = state;
	if (element.textContent !== words) element.textContent = words;
}

function sayLive() {
	if (paused) connection("paused", "Paused: new deliveries wait");
	else connection("live", wasLost ? `Live again since ${clock(Date.now())}` : "Live");
}

function connect() {
	source = new EventSource("stream");
	source.onopen = async () => {
		try {
			// What came in between is in the list.
			await Promise.all([refreshDeliveries(), refreshSummary()]);
			sayLive();
		} catch { /* onerror follows */ }
	};
	source.onmessage = (message) => {
		arrived.push(JSON.parse(message.data));
		pending ??= setTimeout(takeIn, 50);
		soon();
	};
	source.addEventListener("missed", () => refreshDeliveries().catch(() => {}));
	source.addEventListener("end", (message) => { reason = JSON.parse(message.data).reason; });
	source.onerror = async () => {
		wasLost = true;
		connection("lost", reason ? `Reconnecting: ${reason}` : "Connection lost: reconnecting…");
		reason = "";
		if (source.readyState !== EventSource.CLOSED) return; // the browser tries by itself
		source.close();
		try {
			await Promise.all([refreshDeliveries(), refreshSummary()]);
			connection("lost", "Not live, since too many pages are open: looking every 5 s");
		} catch { /* gone, and said so */ }
		setTimeout(connect, 5000);
	};
}

let arrived = [], pending = null;

function takeIn() {
	pending = null;
	const came = arrived.reverse();
	arrived = [];
	if (fetching) fetching.unshift(...came);
	const batch = unknown(came);
	if (!batch.length) return;
	deliveries = batch.concat(deliveries).slice(0, KEPT);
	if (known.size > 2 * KEPT) known = new Set(deliveries.map(keyOf));
	fresh = new Set(batch);
	if (!paused) renderRows();
	fresh = new Set();
	if (!paused) say(batch);
}

let spokenAt = 0;
// say tells who can't see the rows, and not more often than can be listened to.
function say(batch) {
	if (Date.now() - spokenAt < 4000) return;
	spokenAt = Date.now();
	byID("spoken").textContent = batch.length === 1 ? `New: ${outcome(batch[0]).text}` : `${batch.length} new deliveries`;
}

// --- how things are

function element(name, className, words) {
	const e = document.createElement(name);
	if (className) e.className = className;
	if (words !== undefined) e.textContent = words;
	return e;
}

function mark(name, className) {
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	svg.setAttribute("class", `mark ${className}`);
	svg.setAttribute("aria-hidden", "true");
	const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
	use.setAttribute("href", `#mark-${name}`);
	svg.append(use);
	return svg;
}

const kindOf = { ok: "soft", attention: "look", trouble: "bad" };
const levelWord = { ok: "", attention: "Worth a look: ", trouble: "Trouble: " };

function newest(field) {
	const times = summary.gates.map((g) => g[field]).filter(Boolean).map((t) => Date.parse(t));
	return times.length ? Math.max(...times) : null;
}

function lately() {
	const good = newest("last_verified"), latest = newest("latest");
	if (latest === null) {
		return `Nothing has arrived since this inspector began to look, ${span(now() - Date.parse(summary.since))} ago.`;
	}
	const quiet = now() - latest > 3_600_000 ? ` Nothing has arrived for ${span(now() - latest)}.` : "";
	if (good === null) return `Nothing has been verified yet; the last delivery came ${span(now() - latest)} ago.`;
	return `Last verified ${span(now() - good)} ago.${quiet}${silent(summary.gates, Date.parse(summary.since), now())}`;
}

function renderState() {
	if (!summary) return;
	const { level, headline, notices } = summary.state;
	const state = byID("state");
	state.dataset.level = level;
	state.querySelector("use").setAttribute("href", `#mark-${level}`);
	if (byID("headline").textContent !== headline) byID("headline").textContent = headline;
	document.title = `${level === "ok" ? "" : `${headline} · `}twentygate inspector`;
	tick();
	const list = byID("notices");
	const said = JSON.stringify(notices);
	if (list.dataset.said === said) return;
	list.dataset.said = said;
	list.hidden = !notices.length;
	list.replaceChildren(...notices.map((notice) => {
		const item = element("li");
		const words = element("span");
		words.append(element("span", "spoken", levelWord[notice.level]), notice.text);
		item.append(mark(notice.level === "ok" ? "note" : notice.level, kindOf[notice.level]), words);
		return item;
	}));
}

function tick() {
	if (summary) byID("lately").textContent = lately();
}

function chosenGates() {
	const name = byID("gate").value;
	return summary.gates.filter((g) => !name || g.name === name);
}

function renderPanels() {
	const gates = chosenGates();
	const minutes = Array.from({ length: 60 }, (_, i) => gates.reduce(
		(sum, g) => ({ verified: sum.verified + g.minutes[i].verified, refused: sum.refused + g.minutes[i].refused }),
		{ verified: 0, refused: 0 }));
	drawMinutes(byID("hour-chart"), minutes, now());
	const verified = minutes.reduce((n, m) => n + m.verified, 0), refused = minutes.reduce((n, m) => n + m.refused, 0);
	byID("hour-words").textContent = verified + refused === 0
		? "Nothing arrived."
		: `${count(verified, "delivery", "deliveries")} verified (above the line), ${refused.toLocaleString()} not let through (below it, hatched), by minute.`;
	renderCounts(gates);
	renderAges(gates);
}

function renderCounts(gates) {
	const totals = new Map();
	for (const g of gates) for (const [word, n] of Object.entries(g.counts)) totals.set(word, (totals.get(word) ?? 0) + n);
	const monitored = gates.length > 0 && gates.every((g) => g.monitored);
	const most = Math.max(1, ...totals.values());
	const list = byID("counts");
	const sorted = [...totals].sort((a, b) => b[1] - a[1]);
	// While the same words stand in the same order their buttons stay: one that is
	// replaced between press and release gets no click.
	const said = JSON.stringify([monitored, sorted.map(([word]) => word)]);
	if (list.dataset.said !== said) {
		const focused = document.activeElement?.dataset?.verdict;
		list.dataset.said = said;
		list.replaceChildren(...sorted.map(([word]) => countButton(word, monitored)));
		if (focused) list.querySelector(`[data-verdict="${CSS.escape(focused)}"]`)?.focus();
	}
	sorted.forEach(([, n], i) => {
		list.children[i].querySelector(".fill").style.width = `${100 * n / most}%`;
		list.children[i].querySelector(".n").textContent = n.toLocaleString();
	});
}

function countButton(word, monitored) {
	const kind = outcome({ verdict: word, status: 200, monitored });
	const item = element("li"), button = element("button"), track = element("span", "track");
	button.type = "button";
	button.dataset.verdict = word;
	button.title = `Show only ${word}: ${summary.verdicts[word]?.meaning ?? ""}`;
	track.append(element("span", `fill ${kind.kind}`));
	button.append(mark(kind.mark, kind.kind), element("span", "", word), track, element("span", "n"));
	button.addEventListener("click", () => choose("verdict", word));
	item.append(button);
	return item;
}

// Buckets of several gates that begin at one time are one.
function merged(gates, field) {
	const all = new Map();
	for (const b of gates.flatMap((g) => g[field])) {
		const at = all.get(b.start);
		all.set(b.start, at ? {
			start: b.start, count: at.count + b.count,
			min_ms: Math.min(at.min_ms, b.min_ms), max_ms: Math.max(at.max_ms, b.max_ms),
			avg_ms: (at.avg_ms * at.count + b.avg_ms * b.count) / (at.count + b.count),
		} : b);
	}
	return [...all.values()].sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
}

function renderAges(gates) {
	const day = merged(gates, "ages_day");
	const long = day.length > 0 && now() - Date.parse(day[0].start) > 75 * 60_000;
	const buckets = long ? day : merged(gates, "ages_hour");
	const length = long ? 86_400_000 : 3_600_000;
	const limits = gates.length === 1 ? [gates[0].max_age_ms, -gates[0].max_future_ms].filter(Boolean) : [];
	drawAges(byID("age-chart"), buckets, now(), length, limits);
	byID("age-words").textContent = buckets.length === 0
		? "How old verified deliveries are when they arrive; none did lately."
		: `Verified deliveries of the last ${long ? "day" : "hour"} were ${age(Math.min(...buckets.map((b) => b.min_ms)))} to `
			+ `${age(Math.max(...buckets.map((b) => b.max_ms)))} old on arrival${limits.length === 2
				? `; the gate allows ${duration(limits[0])}, and ${duration(-limits[1])} ahead` : ""}. Bars show the range, the line in them the average.`;
}

// --- the rows

function cell(className, words, label) {
	const td = element("td", className, words);
	td.setAttribute("role", "cell");
	if (label) td.dataset.label = label;
	if (words === "") td.classList.add("none");
	return td;
}

function row(d) {
	const tr = element("tr", fresh.has(d) ? "new" : "");
	tr.setAttribute("role", "row");
	tr.dataset.verdict = d.verdict;
	const time = cell("time", "");
	time.classList.remove("none");
	const stamp = element("time", "", clock(d.time));
	stamp.dateTime = d.time;
	stamp.title = new Date(d.time).toISOString();
	time.append(stamp);
	const became = outcome(d);
	const what = cell("what", undefined), said = element("div", "said");
	said.append(mark(became.mark, became.kind), element("span", became.kind === "soft" ? "" : became.kind, became.text));
	what.append(said);
	const hint = [became.note, capital(d.hint)].filter(Boolean).join(" ");
	if (hint) what.append(element("p", "hint", hint));
	const many = summary && summary.gates.length > 1;
	if (many) what.append(element("p", "hint", `Gate ${d.gate}`));
	const event = cell("event", d.event);
	// A long name breaks after its dots.
	event.replaceChildren(...d.event.split(/(?<=\.)/).flatMap((part) => [part, element("wbr")]));
	tr.append(time, what,
		event,
		cell("number", age(d.age_ms), "age"),
		cell("number", size(d.bytes), "size"),
		cell("", d.secret, "secret"),
		cell("number", d.status === null ? "" : String(d.status), d.verdict === "verified" ? "app said" : "answered"),
		cell("number", duration(d.duration_ms), "took"),
		cell("soft", d.remote, "from"));
	return tr;
}

function pattern(text) {
	const literal = text.trim().split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
	// Without a star it is enough that the name has it in it.
	return new RegExp(literal.length > 1 ? `^${literal.join(".*")}$` : literal[0], "i");
}

function chosen() {
	const verdict = byID("verdict").value, event = byID("event").value, gate = byID("gate").value;
	const wanted = event.trim() ? pattern(event) : null;
	return deliveries.filter((d) => (!gate || d.gate === gate)
		&& (!verdict || d.verdict === verdict || (verdict === "+" && d.verdict === "verified") || (verdict === "-" && d.verdict !== "verified"))
		&& (!wanted || wanted.test(d.event)));
}

function renderRows() {
	const all = chosen(), filtered = byID("verdict").value || byID("event").value.trim() || byID("gate").value;
	byID("rows").replaceChildren(...all.slice(0, limit).map(row));
	byID("more").hidden = all.length <= limit;
	const table = byID("rows").closest("table");
	table.hidden = all.length === 0;
	const empty = byID("empty");
	empty.hidden = all.length > 0;
	empty.textContent = filtered && deliveries.length
		? "No delivery matches the filter."
		: "No deliveries yet. They appear here as they come.";
	byID("shown").textContent = all.length === 0 ? "" : filtered
		? `${all.length.toLocaleString()} of ${deliveries.length.toLocaleString()} deliveries`
		: `The last ${count(all.length, "delivery", "deliveries")}, the newest first`;
	byID("clear").disabled = !filtered;
	renderChoices();
}

function renderChoices() {
	const select = byID("verdict");
	const words = new Set([...select.options].map((o) => o.value));
	for (const d of deliveries) {
		if (words.has(d.verdict)) continue;
		words.add(d.verdict);
		const option = element("option", "", d.verdict);
		option.value = d.verdict;
		select.append(option);
	}
	const events = byID("events"), known = new Set([...events.options].map((o) => o.value));
	for (const d of deliveries) {
		if (!d.event || known.has(d.event) || known.size >= 200) continue;
		known.add(d.event);
		const option = element("option");
		option.value = d.event;
		events.append(option);
	}
}

function renderGates() {
	const select = byID("gate"), names = summary.gates.map((g) => g.name);
	byID("gate-label").hidden = names.length < 2;
	// A list that is open would close.
	if ([...select.options].slice(1).map((o) => o.value).join() === names.join()) return;
	const before = select.value;
	select.replaceChildren(...["", ...names].map((name) => {
		const option = element("option", "", name || "all");
		option.value = name;
		return option;
	}));
	select.value = names.includes(before) ? before : "";
}

// --- what a person does

function choose(id, value) {
	const field = byID(id);
	if (id === "verdict" && ![...field.options].some((o) => o.value === value)) {
		const option = element("option", "", value);
		option.value = value;
		field.append(option);
	}
	field.value = value;
	filter();
}

function filter() {
	limit = PAGE;
	renderRows();
	if (summary) renderPanels();
}

for (const id of ["gate", "verdict"]) byID(id).addEventListener("change", filter);
byID("event").addEventListener("input", filter);
byID("filters").addEventListener("submit", (e) => e.preventDefault());
byID("clear").addEventListener("click", () => {
	for (const id of ["gate", "verdict", "event"]) byID(id).value = "";
	filter();
	byID("verdict").focus();
});
byID("pause").addEventListener("click", (e) => {
	paused = !paused;
	e.currentTarget.setAttribute("aria-pressed", String(paused));
	if (!paused) renderRows();
	if (byID("connection").dataset.state !== "lost") sayLive();
});
byID("more").addEventListener("click", () => {
	const at = limit;
	limit += PAGE;
	renderRows();
	byID("rows").children[at]?.scrollIntoView({ block: "nearest" });
});
addEventListener("keydown", (e) => {
	const typing = e.target.closest?.("input, select, textarea");
	if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey) {
		e.preventDefault();
		byID("event").focus();
	}
});

let width = innerWidth;
addEventListener("resize", () => {
	if (innerWidth === width) return;
	width = innerWidth;
	if (summary) renderPanels();
});
setInterval(tick, 1000);
setInterval(() => { if (!document.hidden) soon(0); }, 10_000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(0); });
connect();
