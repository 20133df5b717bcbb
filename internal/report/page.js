'use strict';
(() => {
const $ = id => document.getElementById(id);
const meta = JSON.parse($('meta').textContent);
const {panels, gains, bits, classes, quantities, baselines, units} = meta;
const P = panels.length, G = gains.length, GOOD = 0, UNJUDGED = 7, SEVERAL = 9;
const report = window.report = {ready: false, drawn: 0, decoded: 0};
if (!('DecompressionStream' in window)) { $('old').hidden = false; return; }
document.documentElement.classList.add('run');

// Small helpers. Text reaches the page through textContent only.
const el = (tag, props, ...kids) => {
	const e = document.createElement(tag);
	for (const [k, v] of Object.entries(props || {})) {
		if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
		else if (k in e && k !== 'list') e[k] = v; else e.setAttribute(k, v);
	}
	e.append(...kids.filter(k => k !== null && k !== undefined));
	return e;
};
const THIN = '\u202f';
const spaced = n => Math.abs(n) < 10000 ? String(n).replace('-', '\u2212') : String(n).replace('-', '\u2212').replace(/\B(?=(\d{3})+$)/g, THIN);
const fixed = (v, unit) => v === null || Number.isNaN(v) ? '\u2013' : unit === 'run' ? meta.runs[v] : unit === 'frames' || unit === 'runs' ? spaced(Math.round(v)) : v.toFixed(Math.abs(v) < 100 ? 2 : 1).replace('-', '\u2212');
const raw = async id => {
	const e = $(id);
	if (!e) return null;
	const bytes = Uint8Array.from(atob(e.textContent), c => c.charCodeAt(0));
	report.decoded++;
	return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'))).arrayBuffer());
};
const rgb = c => [1, 3, 5].map(i => parseInt(c.slice(i, i + 2), 16));
const colours = classes.map(c => c.colour[0] === '#' ? rgb(c.colour) : [0, 0, 0]);
const cividis = Uint8Array.from(atob(meta.colours), c => c.charCodeAt(0));
const hintBits = BigInt(meta.hints), unjudgedBits = BigInt(meta.unjudged);
for (const b of bits) b.v = BigInt(b.value);
const names = word => word === 0n ? 'good' : bits.filter(b => word & b.v).map(b => b.name).join(' + ') || String(word);
const classOf = word => {
	if (word & ~hintBits) word &= ~hintBits;
	let c = GOOD;
	for (const b of bits) if (word & b.v) { if (c === GOOD || c === b.class) c = b.class; else return SEVERAL; }
	return c === GOOD && word !== 0n ? 8 : c;
};

// Units are decoded when they are looked at; the last eight are kept.
const kept = new Map();
const unitOf = (p, g) => g * P + p;
const load = u => {
	if (!units[u]) return Promise.resolve(null);
	if (kept.has(u)) { const x = kept.get(u); kept.delete(u); kept.set(u, x); return x; }
	const x = decode(u);
	kept.set(u, x);
	if (kept.size > 8) kept.delete(kept.keys().next().value);
	return x;
};
const spread = (data, rows, cols, block) => {
	if (block === 1) return data;
	const out = new Uint8Array(rows * cols), across = Math.ceil(cols / block);
	for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < cols; c++, i++) out[i] = data[((r / block) | 0) * across + ((c / block) | 0)];
	return out;
};
// before restores the words of a baseline from what differs.
const before = (diff, others, words, status) => {
	const list = [...words], at = others.map(w => { let i = list.indexOf(w); if (i < 0 && list.length < 255) i = list.push(w) - 1; return i < 0 ? 255 : i; }), index = new Uint8Array(diff.length);
	for (let i = 0; i < diff.length; i++) index[i] = diff[i] === 0 ? status[i] : diff[i] === 255 ? 255 : at[diff[i] - 1];
	return {index, words: list};
};
const decode = async u => {
	const x = units[u], {rows, cols} = panels[u % P];
	const [status, base, maps] = await Promise.all([raw('s' + u), Promise.all(x.base ? x.base.map((w, k) => w ? raw(`b${k}-${u}`) : null) : []),
		Promise.all((x.maps || []).map((m, q) => m.block ? raw(`m${q}-${u}`) : null))]);
	const words = x.words.map(BigInt), full = spread(status, rows, cols, x.block), was = base.map((diff, k) => diff && before(diff, x.base[k].map(BigInt), words, full));
	return {rows, cols, words, classes: words.map(classOf), status: full, base: was.map(b => b && b.index),
		baseWords: was.map(b => b && b.words), baseClasses: was.map(b => b && b.words.map(classOf)),
		maps: maps.map((m, q) => m && {data: m, across: Math.ceil(cols / x.maps[q].block), ...x.maps[q]})};
};
const mapIndex = quantities.map((q, i) => quantities.slice(0, i).filter(x => x.map).length);
const wordAt = (d, i) => d.status[i] === 255 ? null : d.words[d.status[i]];

// The list of single pixels with exact values.
let list = null;
const loadList = async () => {
	const n = meta.listed, data = n ? await raw('l') : new Uint8Array(0), view = {n, at: new Map(), index: new Float64Array(n), kind: null, value: []};
	let o = 0;
	const column = width => {
		const out = new Uint8Array(n * width);
		for (let k = 0; k < width; k++) for (let i = 0; i < n; i++) out[i * width + k] = data[o++];
		return new DataView(out.buffer);
	};
	const gaps = column(4);
	for (let i = 0, at = 0; i < n; i++) { at += gaps.getUint32(4 * i, true); view.index[i] = at; view.at.set(at, i); }
	view.kind = column(1);
	for (const q of quantities) { const c = column(4); view.value.push(i => c.getFloat32(4 * i, true)); }
	return view;
};
const firsts = [];
units.reduce((at, _, u) => { firsts[u] = at; return at + panels[u % P].rows * panels[u % P].cols; }, 0);
const placeOf = index => {
	let lo = 0, hi = units.length - 1;
	while (lo < hi) { const m = (lo + hi + 1) >> 1; if (firsts[m] <= index) lo = m; else hi = m - 1; }
	const i = index - firsts[lo], cols = panels[lo % P].cols;
	return {u: lo, p: lo % P, g: Math.floor(lo / P), i, r: Math.floor(i / cols), c: i % cols};
};
const limitsOf = (u, q, r, c) => units[u].limits ? units[u].limits.filter(l => l.q === q && (!l.area || r >= l.area[0] && r < l.area[0] + l.area[2] && c >= l.area[1] && c < l.area[1] + l.area[3])) : [];
const beyond = (l, v) => l.limit !== null && (l.equal && v === l.limit || (l.high ? v > l.limit : v < l.limit));
const distance = (l, v) => l.limit === null || !(l.spread > 0) ? NaN : (l.high ? v - l.limit : l.limit - v) / l.spread;

// State of the viewer.
const dark = matchMedia('(prefers-color-scheme: dark)');
const s = {p: 0, g: 0, r: -1, c: -1, z: 0, x: 0, y: 0, layer: 'status', bit: '', k: 0, back: -1, lo: 0, hi: 100, hidden: new Set()};
let shown = null, pixels = null; // the unit on the screen and its picture
const frame = $('frame'), map = $('map'), over = $('over');
const size = () => [frame.clientWidth, frame.clientHeight];
const zooms = [0.25, 0.5, 1, 2, 4, 8, 16, 32];
const fit = () => {
	const a = panels[s.p], w = frame.clientWidth, most = innerWidth > 1100 ? 640 : 420, wide = w / a.cols, z = Math.min(wide >= 1 ? Math.floor(wide) : wide, most / a.rows);
	frame.style.height = Math.round(Math.min(most, Math.max(300, a.rows * (z >= 1 ? Math.floor(z) : z) + 60))) + 'px';
	return z >= 1 ? zooms.filter(x => x <= z).pop() : z >= 0.5 ? 0.5 : 0.25;
};
const paper = () => dark.matches ? [20, 23, 27] : [255, 255, 255];

// overlay returns the class that the layer shows for a pixel, 0 for none.
const overlay = d => {
	const bit = s.bit ? BigInt(s.bit) : 0n, k = s.k, base = d.base[k], visible = c => !s.hidden.has(c);
	const pick = (words, cls) => words.map((w, i) => w === 0n || bit && !(w & bit) ? 0 : visible(bit ? bitClass(bit) : cls[i]) ? (bit ? bitClass(bit) : cls[i]) : 0);
	const now = pick(d.words, d.classes), was = base ? pick(d.baseWords[k], d.baseClasses[k]) : null;
	const at = (list, i) => i === 255 ? (bit ? 0 : SEVERAL) : list[i];
	switch (s.layer) {
	case 'status': return i => at(now, d.status[i]);
	case 'new': return base ? i => base[i] === 0 ? at(now, d.status[i]) : 0 : () => 0;
	case 'gone': return base ? i => d.status[i] === 0 ? at(was, base[i]) : 0 : () => 0;
	case 'base': return base ? i => at(was, base[i]) : () => 0;
	}
	return () => 0;
};
const bitClass = bit => { const b = bits.find(b => b.v === bit); return b ? b.class : SEVERAL; };
const background = d => {
	const m = s.back >= 0 ? d.maps[mapIndex[s.back]] : null, [pr, pg, pb] = paper(), dim = s.layer === 'none' ? 0 : 1;
	const table = new Uint8Array(256 * 3);
	for (let q = 0; q < 256; q++) {
		const t = Math.round(Math.min(Math.max((q - s.lo * 2.54) / Math.max((s.hi - s.lo) * 2.54, 1e-9), 0), 1) * 254);
		for (let k = 0; k < 3; k++) {
			const v = q === 255 || !m ? paper()[k] : cividis[3 * t + k];
			table[3 * q + k] = dim ? (v + 2 * [pr, pg, pb][k]) / 3 | 0 : v;
		}
	}
	return {table, value: m ? (r, c) => m.data[((r / m.block) | 0) * m.across + ((c / m.block) | 0)] : () => 255};
};
// compose paints the panel, one picture element for every f x f pixels; a bad pixel is never left out.
const compose = (d, f) => {
	const rows = Math.ceil(d.rows / f), cols = Math.ceil(d.cols / f), image = new ImageData(cols, rows), out = image.data;
	const cls = overlay(d), back = background(d), reach = f > 1 ? f >> 1 : 0;
	for (let r = 0, o = 0; r < rows; r++) for (let c = 0; c < cols; c++, o += 4) {
		let k = 0;
		for (let y = Math.max(r * f - reach, 0); y < Math.min((r + 1) * f + reach, d.rows) && !k; y++) for (let x = Math.max(c * f - reach, 0); x < Math.min((c + 1) * f + reach, d.cols) && !k; x++) k = cls(y * d.cols + x);
		let red, green, blue;
		if (k === UNJUDGED) red = green = blue = (r + c) & 1 ? 255 : 0;
		else if (k) [red, green, blue] = colours[k];
		else { const q = 3 * back.value(r * f, c * f); red = back.table[q]; green = back.table[q + 1]; blue = back.table[q + 2]; }
		out[o] = red; out[o + 1] = green; out[o + 2] = blue; out[o + 3] = 255;
	}
	const canvas = el('canvas', {width: cols, height: rows});
	canvas.getContext('2d').putImageData(image, 0, 0);
	return {canvas, f};
};
const shrink = () => s.z >= 1 ? 1 : s.z === 0.5 ? 2 : 4;

const draw = () => {
	const [w, h] = size(), dpr = window.devicePixelRatio || 1;
	for (const c of [map, over]) { c.width = Math.round(w * dpr); c.height = Math.round(h * dpr); }
	const g = map.getContext('2d'), o = over.getContext('2d');
	g.imageSmoothingEnabled = false;
	g.fillStyle = `rgb(${paper()})`;
	g.fillRect(0, 0, map.width, map.height);
	if (!shown) { report.drawn++; return; }
	if (!pixels || pixels.f !== shrink()) pixels = compose(shown, shrink());
	const z = s.z * dpr, left = Math.round(map.width / 2 - s.x * z), top = Math.round(map.height / 2 - s.y * z);
	g.drawImage(pixels.canvas, left, top, pixels.canvas.width * z * pixels.f, pixels.canvas.height * z * pixels.f);
	report.origin = [left, top];
	o.scale(dpr, dpr);
	decorate(o, w, h, left / dpr, top / dpr);
	report.drawn++;
};
// decorate draws chips, rulers, marks and the selection above the map.
const decorate = (o, w, h, left, top) => {
	const a = panels[s.p], z = s.z, X = c => left + c * z, Y = r => top + r * z, ink = dark.matches ? '230,232,234' : '27,31,36';
	o.font = '11px system-ui, sans-serif';
	o.lineWidth = 1;
	o.strokeStyle = `rgba(${ink},.28)`;
	o.beginPath();
	for (let r = 0; r <= a.rows; r += a.asicRows || a.rows) { o.moveTo(X(0), Math.round(Y(r)) + .5); o.lineTo(X(a.cols), Math.round(Y(r)) + .5); }
	for (let c = 0; c <= a.cols; c += a.asicCols || a.cols) { o.moveTo(Math.round(X(c)) + .5, Y(0)); o.lineTo(Math.round(X(c)) + .5, Y(a.rows)); }
	o.stroke();
	if (z >= 8 && shown && shown.base[s.k]) {
		const base = shown.base[s.k], r0 = Math.max(0, Math.floor(-top / z)), r1 = Math.min(a.rows, Math.ceil((h - top) / z)), c0 = Math.max(0, Math.floor(-left / z)), c1 = Math.min(a.cols, Math.ceil((w - left) / z));
		for (const [colour, width] of [['rgba(255,255,255,.9)', 3.4], [`rgba(0,0,0,.9)`, 1.5]]) {
			o.strokeStyle = colour; o.lineWidth = width; o.beginPath();
			for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) {
				const i = r * a.cols + c, now = shown.status[i] !== 0, was = base[i] !== 0;
				if (now === was) continue;
				const cx = X(c + .5), cy = Y(r + .5), d = z * .72;
				if (now) { o.moveTo(cx + d, cy); o.arc(cx, cy, d, 0, 7); }
				else { o.moveTo(cx - d, cy - d); o.lineTo(cx + d, cy + d); o.moveTo(cx + d, cy - d); o.lineTo(cx - d, cy + d); }
			}
			o.stroke();
		}
	}
	if (s.r >= 0) {
		for (const [colour, width] of [['rgba(255,255,255,.95)', 4], ['#0b5a94', 2]]) {
			o.strokeStyle = colour; o.lineWidth = width;
			o.strokeRect(X(s.c) - 2, Y(s.r) - 2, Math.max(z, 1) + 4, Math.max(z, 1) + 4);
			if (z < 8) { o.beginPath(); o.moveTo(X(s.c + .5) - 16, Y(s.r + .5)); o.lineTo(X(s.c + .5) - 6, Y(s.r + .5)); o.moveTo(X(s.c + .5) + 6 + z, Y(s.r + .5)); o.lineTo(X(s.c + .5) + 16 + z, Y(s.r + .5)); o.stroke(); }
		}
	}
	rulers(o, w, h, left, top, a, ink);
};
const rulers = (o, w, h, left, top, a, ink) => {
	const z = s.z, step = [1, 2, 5, 10, 20, 50, 64, 128, 256].find(n => n * z >= 60) || 512;
	o.lineWidth = 3;
	o.strokeStyle = `rgb(${paper()})`;
	o.fillStyle = `rgb(${ink})`;
	const put = (text, x, y) => { o.strokeText(text, x, y); o.fillText(text, x, y); };
	o.textAlign = 'center';
	for (let c = 0; c < a.cols; c += step) { const x = left + (c + .5) * z; if (x > 40 && x < w - 8) put(c, x, Math.max(12, Math.min(top - 5, h - 4))); }
	o.textAlign = 'right';
	for (let r = 0; r < a.rows; r += step) { const y = top + (r + .5) * z; if (y > 24 && y < h - 4) put(r, Math.max(28, Math.min(left - 5, w - 4)), y + 4); }
};

// Showing a place.
let turn = 0;
const show = async change => {
	const u0 = unitOf(s.p, s.g);
	Object.assign(s, change);
	const mine = ++turn, u = unitOf(s.p, s.g), begin = performance.now();
	if (u !== u0 || !shown || !s.z) {
		const d = await load(u);
		if (mine !== turn && !d) return;
		shown = d;
		const fresh = !s.z;
		if (fresh) s.z = fit();
		if (s.r < 0 && (u % P !== u0 % P || fresh) && !(change && change.x !== undefined)) center();
	}
	if (s.r >= 0 && change && change.jump) { s.x = s.c + .5; s.y = s.r + .5; }
	delete s.jump;
	pixels = null;
	draw();
	report.switched = performance.now() - begin;
	controls();
	await inspect();
	remember();
};
const center = () => { const a = panels[s.p]; s.x = a.cols / 2; s.y = a.rows / 2; };
const clamp = () => { const a = panels[s.p]; s.x = Math.min(Math.max(s.x, 0), a.cols); s.y = Math.min(Math.max(s.y, 0), a.rows); };
const zoomTo = (z, px, py) => {
	const [w, h] = size(), ax = px === undefined ? w / 2 : px, ay = py === undefined ? h / 2 : py;
	const X = s.x + (ax - w / 2) / s.z, Y = s.y + (ay - h / 2) / s.z;
	s.z = z; s.x = X - (ax - w / 2) / z; s.y = Y - (ay - h / 2) / z;
	clamp(); draw(); remember();
};
const zoomBy = (n, px, py) => { const i = zooms.findIndex(z => z >= s.z); zoomTo(zooms[Math.min(Math.max((i < 0 ? zooms.length - 1 : i) + n, 0), zooms.length - 1)], px, py); };
const pixelAt = (px, py) => {
	const dpr = window.devicePixelRatio || 1, [left, top] = report.origin || [0, 0], a = panels[s.p];
	const c = Math.floor((px - left / dpr) / s.z), r = Math.floor((py - top / dpr) / s.z);
	return r >= 0 && r < a.rows && c >= 0 && c < a.cols ? [r, c] : null;
};
// snap returns the nearest bad pixel within two pixels of the screen when pixels are smaller than that.
const snap = (r, c) => {
	const reach = Math.floor(2 / s.z), a = panels[s.p];
	if (!shown || shown.status[r * a.cols + c]) return [r, c];
	let best = null, near = reach * reach + 1;
	for (let y = Math.max(0, r - reach); y <= Math.min(a.rows - 1, r + reach); y++) for (let x = Math.max(0, c - reach); x <= Math.min(a.cols - 1, c + reach); x++) {
		const d = (y - r) ** 2 + (x - c) ** 2;
		if (shown.status[y * a.cols + x] && d < near) { near = d; best = [y, x]; }
	}
	return best || [r, c];
};
const step = dir => {
	if (!shown) return;
	const cls = overlay(shown), n = shown.rows * shown.cols, from = s.r < 0 ? (dir > 0 ? -1 : n) : s.r * shown.cols + s.c;
	for (let k = 1; k <= n; k++) {
		const i = ((from + dir * k) % n + n) % n;
		if (cls(i)) { show({r: Math.floor(i / shown.cols), c: i % shown.cols, jump: 1, z: Math.max(s.z, 1)}); return; }
	}
};

// The inspector.
const inspect = async () => {
	const box = $('inspector');
	if (s.r < 0) return;
	list = list || await loadList();
	const {p, r, c} = s, a = panels[p], i = r * a.cols + c, all = await Promise.all(gains.map((_, g) => load(unitOf(p, g))));
	if (p !== s.p || r !== s.r || c !== s.c) return;
	const rows = [], head = el('tr', null, el('td'), ...gains.map(g => el('th', {scope: 'col'}, g || 'value')));
	const row = (name, cell) => rows.push(el('tr', null, el('th', {scope: 'row'}, name), ...gains.map((_, g) => all[g] ? cell(all[g], unitOf(p, g), list.at.get(firsts[unitOf(p, g)] + i)) : el('td', null, '\u2013'))));
	const word = (w, idx) => el('td', {className: 'words' + (w ? ' over' : '')}, idx === 255 ? 'other' : w === 0n ? 'good' : names(w));
	row('status', d => word(wordAt(d, i), d.status[i]));
	baselines.forEach((b, k) => row(baselines.length > 1 ? 'baseline ' + (k + 1) : 'baseline', d => d.base[k] ? word(d.base[k][i] === 255 ? null : d.baseWords[k][d.base[k][i]], d.base[k][i]) : el('td', null, '\u2013')));
	quantities.forEach((q, k) => {
		const exact = (d, u, at) => {
			if (at !== undefined) return [list.value[k](at), ''];
			const m = q.map ? d.maps[mapIndex[k]] : null, b = m && m.data[((r / m.block) | 0) * m.across + ((c / m.block) | 0)];
			return m && b !== 255 ? [m.lo + (m.hi - m.lo) * b / 254, '\u2248' + THIN] : [NaN, ''];
		};
		row(q.name + (q.unit === 'ADU' ? ' / ADU' : ''), (d, u, at) => { const [v, mark] = exact(d, u, at); return el('td', {className: 'n'}, Number.isNaN(v) ? '\u2013' : mark + fixed(v, q.unit)); });
		for (const high of [false, true]) {
			if (!units.some(x => x && x.limits && x.limits.some(l => l.q === k && l.high === high))) continue;
			row((high ? '  upper' : '  lower') + ' limit', (d, u, at) => {
				const l = limitsOf(u, k, r, c).find(l => l.high === high);
				if (!l || l.limit === null) return el('td', null, '\u2013');
				const [v, mark] = exact(d, u, at), far = distance(l, v), td = el('td', {className: 'n'}, fixed(l.limit, q.unit === 'frames' ? 'frames' : q.unit));
				if (!Number.isNaN(v) && !Number.isNaN(far)) td.append(el('span', {className: 'far ' + (at !== undefined && beyond(l, v) ? 'over' : 'hint')}, `${mark}${far >= 0 ? '+' : '\u2212'}${Math.abs(far).toFixed(1)}\u03c3`));
				else if (at !== undefined && beyond(l, v)) td.append(el('span', {className: 'far over'}, 'beyond'));
				return td;
			});
		}
	});
	row('frames', (d, u) => el('td', {className: 'n'}, units[u].frames ? spaced(units[u].frames) : '\u2013'));
	const chipR = a.asicRows || a.rows, chipC = a.asicCols || a.cols, across = Math.ceil(a.cols / chipC);
	box.replaceChildren(el('h3', null, `${a.name}, row ${r}, column ${c}`), el('div', {className: 'hint'}, `panel ${a.id || a.name}; chip ${Math.floor(r / chipR) * across + Math.floor(c / chipC)}, there row ${r % chipR}, column ${c % chipC}`),
		...traces(p, i), el('table', null, el('thead', null, head), el('tbody', null, ...rows)), el('h4', null, 'neighbours, 5 × 5'), ...gains.map((g, k) => all[k] ? near(all[k], g) : null).filter(Boolean),
		el('p', {className: 'hint'}, 'Values with \u2248 are of the map around the pixel; those of listed pixels are exact. \u03c3: beyond (+) or inside (\u2212) a limit, in spreads of the pixels behind it.'));
};
// traces draws how the pixel answers the pulser, and the median pixel beside it.
const traces = (p, i) => {
	const at = gains.map((_, g) => list.at.get(firsts[unitOf(p, g)] + i)).find(x => x !== undefined), out = [];
	for (const t of meta.traces) {
		const own = t.q.map(q => at === undefined || q < 0 ? NaN : list.value[q](at)), typical = t.typical.map(v => v === null ? NaN : v);
		const W = 300, H = 130, L = 44, B = 18, ends = ([b0, g0, b1, g1, sw]) => {
			const s = Number.isNaN(sw) ? t.length : Math.min(sw, t.length), lines = [];
			if (g0 || b0) lines.push([[0, b0], [s, b0 + g0 * s]]);
			if ((g1 || b1) && s < t.length) lines.push([[s, b1 + g1 * s], [t.length, b1 + g1 * t.length]]);
			return lines.filter(l => l.flat().every(Number.isFinite));
		};
		const mine = ends(own), usual = ends(typical), top = Math.max(1, ...[...mine, ...usual].flat().map(q => q[1])), svg = 'http://www.w3.org/2000/svg';
		const put = (tag, attributes, text) => { const e = document.createElementNS(svg, tag); for (const k in attributes) e.setAttribute(k, attributes[k]); if (text !== undefined) e.textContent = text; return e; };
		const X = x => (L + x / t.length * (W - L - 8)).toFixed(1), Y = y => (H - B - Math.max(y, 0) / top * (H - B - 8)).toFixed(1), path = l => l.map(([a, b]) => `M${X(a[0])} ${Y(a[1])}L${X(b[0])} ${Y(b[1])}`).join('');
		const words = own.every(Number.isNaN) ? 'not known: only listed pixels have exact values' : mine.length === 0 ? 'no line' :
			`${fixed(own[0])} + ${own[1].toFixed(3)} x` + (Number.isNaN(own[4]) ? ', does not switch' : ` to ${fixed(own[4])}, then ${fixed(own[2])} + ${own[3].toFixed(3)} x`);
		const e = put('svg', {class: 'chart trace', viewBox: `0 0 ${W} ${H}`, width: W, height: H, role: 'img', 'aria-label': `${t.name}: ${words} ADU; the dashed lines are the median pixel`});
		e.append(put('path', {class: 'axis', d: `M${L} 8V${H - B}H${W - 8}`}), put('path', {class: 'curve thin', d: path(usual), 'stroke-dasharray': '4 3'}), put('path', {class: 'curve own', d: path(mine)}),
			put('text', {class: 'num end', x: L - 4, y: 14}, top.toFixed(0)), put('text', {class: 'num end', x: L - 4, y: H - B}, '0'), put('text', {class: 'num end', x: W - 8, y: H - 4}, t.length), put('text', {class: 'num', x: L, y: H - 4}, `${t.name}, ramp units`));
		out.push(el('figure', {className: 'tracebox'}, e, el('figcaption', {className: 'hint'}, `${t.name}: ${words}`)));
	}
	return out.length ? [el('h4', null, 'answer to the pulser / ADU'), ...out] : [];
};
const near = (d, gain) => {
	const canvas = el('canvas', {className: 'near', width: 5, height: 5, style: 'width:80px;height:80px;display:inline-block;margin-right:8px', title: gain}), image = new ImageData(5, 5), back = background(d);
	let text = `${gain || 'status'}: `;
	for (let y = 0; y < 5; y++) for (let x = 0; x < 5; x++) {
		const r = s.r + y - 2, c = s.c + x - 2, o = 4 * (5 * y + x);
		if (r < 0 || c < 0 || r >= d.rows || c >= d.cols) continue;
		const k = d.status[r * d.cols + c], cls = k === 255 ? SEVERAL : d.classes[k];
		let v = cls === UNJUDGED ? Array((r + c) & 1 ? 255 : 0).concat() : colours[cls];
		if (cls === UNJUDGED) v = (r + c) & 1 ? [255, 255, 255] : [0, 0, 0];
		if (!cls) { const q = 3 * back.value(r, c); v = [back.table[q], back.table[q + 1], back.table[q + 2]]; }
		else text += `row ${r} column ${c} ${k === 255 ? 'other' : names(d.words[k])}; `;
		image.data.set([...v, 255], o);
	}
	canvas.getContext('2d').putImageData(image, 0, 0);
	canvas.setAttribute('role', 'img');
	canvas.setAttribute('aria-label', text);
	return canvas;
};

// Controls, keys, pointers.
const option = (value, text) => el('option', {value: String(value)}, text);
const controls = () => {
	$('panel').value = s.p; $('gain').value = s.g; $('layer').value = s.layer; $('bit').value = s.bit; $('back').value = s.back; $('against').value = s.k; $('lo').value = s.lo; $('hi').value = s.hi;
	const x = units[unitOf(s.p, s.g)];
	$('where').textContent = x ? `${panels[s.p].name} ${gains[s.g]}: ${spaced(x.bad)} bad pixels` : `${panels[s.p].name} ${gains[s.g]}: not measured`;
	const m = x && s.back >= 0 && x.maps ? x.maps[mapIndex[s.back]] : null;
	$('scale').textContent = m && m.block ? `${(m.lo + (m.hi - m.lo) * s.lo / 100).toFixed(1)} \u2026 ${(m.lo + (m.hi - m.lo) * s.hi / 100).toFixed(1)} ${quantities[s.back].unit}` : '';
	for (const b of $('over-gain').children) b.setAttribute('aria-pressed', b.dataset.g === String(s.g));
	if (overGain !== s.g) thumbs();
	for (const b of $('thumbs').children) b.setAttribute('aria-pressed', b.dataset.p === String(s.p));
};
const setup = () => {
	panels.forEach((a, i) => $('panel').append(option(i, a.name)));
	gains.forEach((g, i) => $('gain').append(option(i, g || 'only one')));
	$('bit').append(option('', 'all bits'), ...bits.filter(b => units.some(u => u && u.words.some(w => BigInt(w) & b.v) || u && u.base && u.base.some(x => x && x.some(w => BigInt(w) & b.v)))).map(b => option(b.value, b.name)));
	$('back').append(...quantities.map((q, i) => q.map ? option(i, q.name) : null).filter(Boolean), option(-1, 'flat'));
	s.back = quantities.map(q => q.map && q.name).lastIndexOf('rms');
	if (s.back < 0) s.back = quantities.findIndex(q => q.map);
	baselines.forEach((b, k) => $('against').append(option(k, b)));
	$('against-l').hidden = baselines.length < 2;
	if (!baselines.length) for (const o of [...$('layer').options]) if (['new', 'gone', 'base'].includes(o.value)) o.remove();
	$('panel').onchange = e => show({p: +e.target.value, r: -1});
	$('gain').onchange = e => show({g: +e.target.value});
	$('layer').onchange = e => show({layer: e.target.value});
	$('bit').onchange = e => show({bit: e.target.value});
	$('back').onchange = e => show({back: +e.target.value});
	$('against').onchange = e => show({k: +e.target.value});
	$('lo').oninput = e => show({lo: Math.min(+e.target.value, s.hi - 1)});
	$('hi').oninput = e => show({hi: Math.max(+e.target.value, s.lo + 1)});
	$('zin').onclick = () => zoomBy(1); $('zout').onclick = () => zoomBy(-1);
	$('zfit').onclick = () => { center(); zoomTo(fit()); };
	$('goto').onchange = e => {
		const v = e.target.value.split(/[ ,]+/).map(Number), a = panels[v[0]];
		if (v.length === 3 && a && v[1] >= 0 && v[1] < a.rows && v[2] >= 0 && v[2] < a.cols && v.every(Number.isInteger)) { e.target.setCustomValidity(''); show({p: v[0], r: v[1], c: v[2], z: Math.max(s.z, 8), jump: 1}); }
		else { e.target.setCustomValidity(`panel 0 to ${P - 1}, row, column`); e.target.reportValidity(); }
	};
	for (const b of $('legend').querySelectorAll('button')) b.onclick = () => {
		const k = +b.dataset.class;
		if (s.hidden.has(k)) s.hidden.delete(k); else s.hidden.add(k);
		b.setAttribute('aria-pressed', !s.hidden.has(k));
		show({});
	};
	frame.onkeydown = e => {
		const moves = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}, a = panels[s.p];
		const acts = {'+': () => zoomBy(1), '=': () => zoomBy(1), '-': () => zoomBy(-1), 0: () => { center(); zoomTo(fit()); }, n: () => step(1), p: () => step(-1), g: () => show({g: (s.g + 1) % G}),
			'[': () => show({p: (s.p + P - 1) % P, r: -1}), ']': () => show({p: (s.p + 1) % P, r: -1}),
			b: () => { const o = [...$('bit').options].map(o => o.value); show({bit: o[(o.indexOf(s.bit) + 1) % o.length]}); }};
		if (e.ctrlKey || e.metaKey || e.altKey) return;
		if (moves[e.key]) {
			const [dr, dc] = moves[e.key];
			if (s.r < 0) { s.x += dc * 40 / s.z; s.y += dr * 40 / s.z; clamp(); draw(); remember(); }
			else show({r: Math.min(Math.max(s.r + dr, 0), a.rows - 1), c: Math.min(Math.max(s.c + dc, 0), a.cols - 1)});
		} else if (acts[e.key]) acts[e.key](); else return;
		e.preventDefault();
	};
	frame.addEventListener('wheel', e => { e.preventDefault(); const b = frame.getBoundingClientRect(); zoomBy(e.deltaY < 0 ? 1 : -1, e.clientX - b.left - frame.clientLeft, e.clientY - b.top - frame.clientTop); }, {passive: false});
	pointers();
	new ResizeObserver(() => { if (shown) draw(); }).observe(frame);
	dark.addEventListener('change', () => { pixels = null; draw(); thumbs(); });
};
const pointers = () => {
	const down = new Map();
	let moved = 0, apart = 0;
	frame.onpointerdown = e => { down.set(e.pointerId, [e.clientX, e.clientY]); moved = 0; apart = 0; frame.setPointerCapture(e.pointerId); };
	frame.onpointermove = e => {
		const from = down.get(e.pointerId);
		if (!from) return;
		const dx = e.clientX - from[0], dy = e.clientY - from[1];
		moved += Math.abs(dx) + Math.abs(dy);
		down.set(e.pointerId, [e.clientX, e.clientY]);
		if (down.size === 2) {
			const [a, b] = [...down.values()], d = Math.hypot(a[0] - b[0], a[1] - b[1]), box = frame.getBoundingClientRect();
			apart = apart || d;
			if (d > apart * 1.6 || d < apart / 1.6) { zoomBy(d > apart ? 1 : -1, (a[0] + b[0]) / 2 - box.left, (a[1] + b[1]) / 2 - box.top); apart = d; }
		} else if (moved > 3) { s.x -= dx / s.z; s.y -= dy / s.z; clamp(); draw(); }
	};
	frame.onpointerup = frame.onpointercancel = e => {
		const was = down.delete(e.pointerId);
		if (!was || down.size) return;
		if (moved > 3 || e.type === 'pointercancel') { remember(); return; }
		const b = frame.getBoundingClientRect(), at = pixelAt(e.clientX - b.left - frame.clientLeft, e.clientY - b.top - frame.clientTop);
		if (at) { const [r, c] = snap(...at); show({r, c}); }
	};
};

// The place in the address.
let written = '';
const remember = () => {
	const o = {p: s.p, g: s.g, z: s.z};
	if (s.r >= 0) { o.r = s.r; o.c = s.c; } else { o.x = Math.round(s.x * 10) / 10; o.y = Math.round(s.y * 10) / 10; }
	if (s.layer !== 'status') o.l = s.layer;
	if (s.bit) o.b = s.bit;
	if (s.k) o.k = s.k;
	written = '#' + new URLSearchParams(o);
	if (started) history.replaceState(null, '', written);
};
let started = false;
const fromAddress = () => {
	if (location.hash === written || !/^#\w=/.test(location.hash)) return false;
	const q = new URLSearchParams(location.hash.slice(1)), o = {r: -1, bit: '', layer: 'status'}, int = (k, n) => q.has(k) && /^\d+$/.test(q.get(k)) && +q.get(k) < n ? +q.get(k) : undefined;
	const set = (key, v) => { if (v !== undefined) o[key] = v; };
	set('p', int('p', P)); set('g', int('g', G)); set('k', int('k', baselines.length));
	const u = int('u', units.length);
	if (u !== undefined) { o.p = u % P; o.g = Math.floor(u / P); }
	const a = panels[o.p === undefined ? s.p : o.p], r = int('r', a.rows), c = int('c', a.cols);
	if (r !== undefined && c !== undefined) Object.assign(o, {r, c, jump: 1});
	if (zooms.includes(+q.get('z'))) o.z = +q.get('z');
	else if (o.jump && u !== undefined) o.z = 2;
	else if (o.jump) o.z = 8;
	if ([...$('layer').options].some(x => x.value === q.get('l'))) o.layer = q.get('l');
	if (bits.some(b => b.value === q.get('b'))) o.bit = q.get('b');
	if (q.has('x') && q.has('y') && isFinite(q.get('x')) && isFinite(q.get('y'))) { o.x = +q.get('x'); o.y = +q.get('y'); }
	else if (!o.jump) { o.x = a.cols / 2; o.y = a.rows / 2; o.z = o.z || 0; }
	return show(o);
};
addEventListener('hashchange', () => { if (fromAddress()) $('viewer').scrollIntoView(); });

// Thumbnails.
let thumbData = null, overGain = -1;
const thumbs = () => {
	if (!thumbData) return;
	overGain = s.g;
	const box = $('thumbs'), [pr, pg, pb] = dark.matches ? [40, 46, 53] : [232, 234, 236];
	box.style.setProperty('--least', P <= 4 ? '300px' : P <= 12 ? '200px' : '130px');
	box.replaceChildren(...panels.map((a, p) => {
		const rows = Math.ceil(a.rows / 8), cols = Math.ceil(a.cols / 8), u = unitOf(p, s.g), x = units[u], image = new ImageData(cols, rows);
		let o = thumbStarts[u];
		for (let i = 0; i < rows * cols; i++) {
			const b = thumbData[o++], k = b >> 4, t = b ? .45 + .55 * (b & 15) / 7 : 0, col = k === UNJUDGED ? [90, 90, 90] : colours[k];
			image.data.set([pr + (col[0] - pr) * Math.min(t, 1), pg + (col[1] - pg) * Math.min(t, 1), pb + (col[2] - pb) * Math.min(t, 1), 255], 4 * i);
		}
		const canvas = el('canvas', {width: cols, height: rows});
		canvas.getContext('2d').putImageData(image, 0, 0);
		canvas.setAttribute('aria-hidden', 'true');
		const button = el('button', {type: 'button', onclick: () => { show({p, r: -1, z: 0}); $('viewer').scrollIntoView(); }}, canvas, el('span', null, x ? spaced(x.bad) + ' bad' : 'not measured'), el('b', null, a.name));
		button.dataset.p = p;
		return button;
	}));
};
const thumbStarts = [];
units.reduce((at, _, u) => { thumbStarts[u] = at; const a = panels[u % P]; return at + Math.ceil(a.rows / 8) * Math.ceil(a.cols / 8); }, 0);

// The list of pixels.
const LINES = 1000;
const kinds = [['new', 'newly bad', 1], ['gone', 'newly good', 2], ['bad', 'all bad', -1]];
const listRows = async kind => {
	list = list || await loadList();
	const rows = [];
	for (let i = 0; i < list.n; i++) {
		const k = list.kind.getUint8(i);
		if (kind === 2 ? k !== 2 : kind === 1 ? k !== 1 : k === 2) continue;
		const at = placeOf(list.index[i]);
		let far = -Infinity, why = '';
		for (const l of units[at.u].limits || []) {
			if (l.area && !limitsOf(at.u, l.q, at.r, at.c).includes(l)) continue;
			const d = distance(l, list.value[l.q](i));
			if (d > far) { far = d; why = quantities[l.q].name; }
		}
		rows.push({i, at, far, why});
	}
	return rows.sort((a, b) => b.far - a.far || a.i - b.i);
};
const fillList = async kind => {
	const rows = await listRows(kind), total = rows.length, table = $('list');
	for (const b of $('list-kind').children) b.setAttribute('aria-pressed', b.dataset.kind === String(kind));
	rows.length = Math.min(rows.length, LINES);
	const data = new Map();
	for (const u of new Set(rows.map(x => x.at.u))) data.set(u, await load(u));
	const shownQ = quantities.map((q, k) => k).filter(k => quantities[k].map);
	table.tHead.replaceChildren(el('tr', null, ...['panel', 'gain', 'row', 'column', 'status', ...(baselines.length ? ['before'] : []), ...shownQ.map(k => quantities[k].name + (quantities[k].unit ? ' / ' + quantities[k].unit : '')), ...(quantities.length ? ['beyond limit'] : [])]
		.map((t, i) => el('th', {scope: 'col', className: i === 2 || i === 3 || i > (baselines.length ? 5 : 4) ? 'n' : ''}, t))));
	table.tBodies[0].replaceChildren(...rows.map(x => {
		const {p, g, r, c, u, i} = x.at, d = data.get(u), w = wordAt(d, i), b = d.base[0] ? d.base[0][i] : -1;
		return el('tr', null, el('th', {scope: 'row'}, el('a', {href: `#p=${p}&g=${g}&r=${r}&c=${c}&z=8`}, panels[p].name)), el('td', null, gains[g]), el('td', {className: 'n'}, String(r)), el('td', {className: 'n'}, String(c)),
			el('td', null, w === null ? 'other' : names(w)), baselines.length ? el('td', null, b < 0 ? '\u2013' : b === 255 ? 'other' : names(d.baseWords[0][b])) : null,
			...shownQ.map(k => el('td', {className: 'n'}, fixed(list.value[k](x.i), quantities[k].unit))),
			quantities.length ? el('td', {className: 'n'}, x.far > -Infinity ? `${x.far >= 0 ? '+' : '\u2212'}${Math.abs(x.far).toFixed(1)}\u03c3 ${x.why}` : '') : null);
	}));
	const all = units.reduce((n, u) => n + (u ? u.bad : 0), 0);
	$('list-note').textContent = total === 0 ? 'none' : total > LINES ? `the ${spaced(LINES)} ${quantities.length ? 'farthest beyond their limits' : 'first'} of ${spaced(total)} listed` : `${spaced(total)} pixels`;
	if (kind < 0 && total < all) $('list-note').textContent += ` (${spaced(all)} are bad; the map shows all)`;
	report.listed = total;
};
const lists = async () => {
	const have = kinds.filter(k => k[2] < 0 || baselines.length);
	for (const [, text, kind] of have) { const b = el('button', {type: 'button', onclick: () => fillList(kind)}, text); b.dataset.kind = kind; $('list-kind').append(b); }
	await fillList(have[0][2]);
};

// The table: sorting, filter, CSV.
const tables = () => {
	const table = $('counts'), body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
	heads.forEach((h, k) => {
		const text = h.textContent;
		if (h.querySelector('.sr')) return;
		const button = el('button', {type: 'button'}, text);
		h.replaceChildren(button);
		button.onclick = () => {
			const down = h.getAttribute('aria-sort') !== 'descending';
			heads.forEach(x => x.removeAttribute('aria-sort'));
			h.setAttribute('aria-sort', down ? 'descending' : 'ascending');
			const value = r => { const c = r.cells[k]; return !c ? -1 : c.dataset.v !== undefined ? +c.dataset.v : c.textContent; };
			body.append(...rows.map((r, i) => [r, i]).sort(([a, i], [b, j]) => {
				const x = value(a), y = value(b), d = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), 'en', {numeric: true});
				return (down ? -d : d) || i - j;
			}).map(([r]) => r));
		};
	});
	$('only-changed').onchange = e => { for (const r of rows) r.hidden = e.target.checked && !r.classList.contains('changed'); };
	if (!table.querySelector('.new')) $('only-changed').parentElement.hidden = true;
	const quote = t => /[",\n]/.test(t) ? '"' + t.replace(/"/g, '""') + '"' : t;
	const clean = c => quote(c.dataset.v !== undefined && heads[c.cellIndex].textContent !== '%' ? c.dataset.v : c.textContent.replace(/\u202f/g, '').replace(/\u2212/g, '-').trim());
	const lines = [heads.filter((_, k) => !heads[k].querySelector('.sr')).map(h => quote(h.textContent)), ...rows.map(r => [...r.cells].filter(c => !c.classList.contains('bars')).map(clean))];
	$('csv').href = 'data:text/csv;charset=utf-8,' + encodeURIComponent(lines.map(l => l.join(',')).join('\r\n') + '\r\n');
};

(async () => {
	tables();
	setup();
	s.z = 0;
	center();
	const worst = units.map((u, i) => [u ? u.bad : -1, i]).sort((a, b) => b[0] - a[0] || a[1] - b[1])[0];
	const asked = fromAddress();
	if (asked) await asked; else await show(worst ? {p: worst[1] % P, g: Math.floor(worst[1] / P), z: 0} : {});
	gains.forEach((g, i) => { const b = el('button', {type: 'button', onclick: () => show({g: i})}, g || 'status'); b.dataset.g = i; $('over-gain').append(b); });
	$('over-gain').hidden = G < 2;
	thumbData = await raw('t');
	overGain = -1;
	controls();
	await lists();
	started = true;
	report.state = s;
	report.show = show;
	report.load = load;
	report.ready = true;
})().catch(e => { report.error = String(e && e.stack || e); console.error(e); });
})();
