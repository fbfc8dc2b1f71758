// The two charts. Each has its words beside it, so the picture itself is hidden
// from who can't see it.

import { duration, hourAndMinute } from "./words.js";

function make(name, attributes = {}, ...children) {
	const element = document.createElementNS("http://www.w3.org/2000/svg", name);
	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
	element.append(...children);
	return element;
}

// Text is kept from being stretched by drawing at the size that the page has.
function draw(into, paint) {
	into.replaceChildren();
	const width = Math.max(240, into.clientWidth), height = Math.max(120, into.clientHeight);
	const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
	paint(svg, width, height);
	into.append(svg);
}

function text(x, y, anchor, words) {
	return make("text", { x, y, "text-anchor": anchor }, words);
}

// Above the line what was let through, below it, hatched, what was refused.
export function drawMinutes(into, minutes, now) {
	draw(into, (svg, width, H) => {
		svg.append(make("defs", {}, make("pattern",
			{ id: "hatch", width: 4, height: 4, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
			make("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 4 }))));
		const top = 8, bottom = H - 18, left = 30;
		const up = Math.max(...minutes.map((m) => m.verified)), down = Math.max(...minutes.map((m) => m.refused));
		const most = Math.max(up, down, 1);
		// Each side gets room for what it has, and never nothing.
		const share = Math.min(0.8, Math.max(0.2, (up || most * 0.2) / ((up || most * 0.2) + (down || most * 0.2))));
		const line = top + (bottom - top) * share;
		const scale = Math.min((line - top) / Math.max(up, 1), (bottom - line) / Math.max(down, 1));
		const step = (width - left) / minutes.length;
		minutes.forEach((m, i) => {
			const x = left + i * step + step * 0.15, w = step * 0.7;
			if (m.verified) {
				const h = Math.max(2, m.verified * scale);
				svg.append(make("rect", { class: "verified", x, y: line - h, width: w, height: h, rx: 1 }));
			}
			if (m.refused) {
				const h = Math.max(2, m.refused * scale);
				svg.append(make("rect", { class: "refused-fill", x, y: line + 1, width: w, height: h, rx: 1 }));
			}
		});
		svg.append(make("line", { class: "axis", x1: left, x2: width, y1: line, y2: line }));
		if (up) svg.append(text(left - 6, Math.max(line - up * scale + 8, 12), "end", String(up)));
		if (down) svg.append(text(left - 6, Math.min(line + down * scale, bottom) + 2, "end", String(down)));
		svg.append(text(left, H - 2, "start", hourAndMinute(now - 3_600_000)), text(width, H - 2, "end", "now"));
	});
}

// For each bucket the range from the youngest to the oldest, and the average.
export function drawAges(into, buckets, now, length, limits) {
	draw(into, (svg, width, H) => {
		const top = 8, bottom = H - 18, left = 56;
		let low = Math.min(0, ...buckets.map((b) => b.min_ms)), high = Math.max(0, ...buckets.map((b) => b.max_ms));
		if (high - low < 1000) high = low + 1000;
		const x = (at) => left + (width - left) * (1 - (now - at) / length);
		const y = (ms) => bottom - (bottom - top) * (ms - low) / (high - low);
		// Limits are shown where they are in sight.
		for (const limit of limits) {
			if (limit < low || limit > high) continue;
			svg.append(make("line", { class: "limit", x1: left, x2: width, y1: y(limit), y2: y(limit) }));
		}
		svg.append(make("line", { class: "axis", x1: left, x2: width, y1: y(0), y2: y(0) }));
		const w = Math.max(3, (width - left) / (length > 3_600_000 ? 96 : 60) * 0.7);
		for (const b of buckets) {
			const at = Math.min(Math.max(x(Date.parse(b.start)), left), width - w);
			const from = y(b.max_ms), to = y(b.min_ms);
			svg.append(make("rect", { class: "range", x: at, y: from, width: w, height: Math.max(2, to - from), rx: 1 }));
			svg.append(make("rect", { class: "average", x: at, y: y(b.avg_ms) - 1.5, width: w, height: 3, rx: 1 }));
		}
		svg.append(text(left - 6, y(0) + 4, "end", "0"));
		if (y(0) - y(high) > 14) svg.append(text(left - 6, y(high) + 8, "end", duration(high)));
		if (y(low) - y(0) > 14) svg.append(text(left - 6, y(low), "end", duration(low)));
		svg.append(text(left, H - 2, "start", hourAndMinute(now - length)), text(width, H - 2, "end", "now"));
	});
}
