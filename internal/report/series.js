'use strict';
(() => {
const $ = id => document.getElementById(id);
const {panels, gains, runs, units} = JSON.parse($('meta').textContent);
const P = panels.length, report = window.report = {ready: false};
if (!('DecompressionStream' in window)) { $('old').hidden = false; return; }
document.documentElement.classList.add('run');
const raw = async id => new Uint8Array(await new Response(new Blob([Uint8Array.from(atob($(id).textContent), c => c.charCodeAt(0))]).stream().pipeThrough(new DecompressionStream('deflate'))).arrayBuffer());
const dark = matchMedia('(prefers-color-scheme: dark)');
const s = {p: 0, g: 0, layer: 'flips', k: 1, z: 1, x: 0, y: 0, r: -1, c: -1};
let data = null, picture = null;
const frame = $('frame'), map = $('map');
const load = async u => units[u] ? {flips: await raw('f' + u), times: await raw('k' + u), since: await raw('a' + u)} : null;
// Colours of ordered values: from yellow to violet, even in brightness on both papers.
const ramp = t => [[240, 228, 66], [230, 159, 0], [213, 94, 0], [160, 60, 110], [70, 40, 130]].reduce((out, c, i, all) => { const x = t * (all.length - 1) - i; return x >= 0 && x < 1 || i === all.length - 1 && x >= 0 ? c.map((v, k) => Math.round(v + (x >= 1 || i === all.length - 1 ? 0 : (all[i + 1][k] - v) * x))) : out; }, [240, 228, 66]);
const paper = () => dark.matches ? [34, 39, 45] : [241, 242, 243];
const top = () => s.layer === 'since' ? runs.length : s.layer === 'times' ? runs.length : Math.max(2, data.flips.reduce((a, b) => Math.max(a, b), 0));
const colour = v => {
	if (s.layer === 'times') return v >= s.k ? ramp(runs.length > 1 ? (v - 1) / (runs.length - 1) : 1) : null;
	if (!v) return null;
	return ramp((v - 1) / Math.max(1, top() - 1));
};
const compose = () => {
	const a = panels[s.p], f = s.z >= 1 ? 1 : Math.round(1 / s.z), rows = Math.ceil(a.rows / f), cols = Math.ceil(a.cols / f), image = new ImageData(cols, rows), [pr, pg, pb] = paper(), list = data[s.layer], table = Array.from({length: 256}, (_, v) => colour(v));
	for (let r = 0, o = 0; r < rows; r++) for (let c = 0; c < cols; c++, o += 4) {
		let best = 0;
		for (let y = r * f; y < Math.min((r + 1) * f, a.rows); y++) for (let x = c * f; x < Math.min((c + 1) * f, a.cols); x++) best = Math.max(best, list[y * a.cols + x]);
		const [red, green, blue] = table[best] || [pr, pg, pb];
		image.data[o] = red; image.data[o + 1] = green; image.data[o + 2] = blue; image.data[o + 3] = 255;
	}
	const canvas = document.createElement('canvas');
	canvas.width = cols; canvas.height = rows;
	canvas.getContext('2d').putImageData(image, 0, 0);
	return {canvas, f};
};
const draw = () => {
	const w = frame.clientWidth, h = frame.clientHeight;
	map.width = w; map.height = h;
	const g = map.getContext('2d');
	g.imageSmoothingEnabled = false;
	if (!data) return;
	picture = picture || compose();
	const left = Math.round(w / 2 - s.x * s.z), up = Math.round(h / 2 - s.y * s.z);
	report.origin = [left, up];
	g.drawImage(picture.canvas, left, up, picture.canvas.width * picture.f * s.z, picture.canvas.height * picture.f * s.z);
	if (s.r >= 0) { g.strokeStyle = '#0b5a94'; g.lineWidth = 2; g.strokeRect(left + s.c * s.z - 2, up + s.r * s.z - 2, Math.max(1, s.z) + 4, Math.max(1, s.z) + 4); }
};
const text = (tag, t) => { const e = document.createElement(tag); e.textContent = t; return e; };
const inspect = () => {
	if (s.r < 0 || !data) return;
	const i = s.r * panels[s.p].cols + s.c, since = data.since[i];
	$('inspector').replaceChildren(text('h3', `${panels[s.p].name} ${gains[s.g]}, row ${s.r}, column ${s.c}`), text('p', `bad in ${data.times[i]} of ${runs.length} runs`), text('p', `${data.flips[i]} changes between good and bad`), text('p', since ? `bad without interruption since run ${runs[since - 1]}` : 'good in the last run'));
};
const show = async change => {
	const fresh = !data || 'p' in change || 'g' in change;
	Object.assign(s, change);
	if (fresh) {
		data = await load(s.g * P + s.p);
		const a = panels[s.p];
		if (!('z' in change)) { s.z = [8, 4, 2, 1, .5, .25].find(z => a.cols * z <= frame.clientWidth && a.rows * z <= 600) || .25; s.x = a.cols / 2; s.y = a.rows / 2; }
		frame.style.height = Math.max(300, Math.min(600, a.rows * s.z + 20)) + 'px';
	}
	picture = null;
	draw();
	$('k-l').hidden = s.layer !== 'times';
	const x = units[s.g * P + s.p];
	$('k-out').textContent = `${s.k} of ${runs.length}: ${x ? x.often[s.k] : 0} pixels`;
	$('where').textContent = x ? '' : 'not measured';
	$('panel').value = s.p; $('gain').value = s.g; $('layer').value = s.layer;
	const marks = !data ? [] : s.layer === 'since' ? runs.map((r, i) => [i + 1, `run ${r}`, x.began[i]]).filter(m => m[2]) : Array.from({length: top()}, (_, i) => [i + 1, String(i + 1), '']).filter(m => s.layer !== 'times' || m[0] >= s.k);
	$('scale').replaceChildren(...marks.filter((_, i) => marks.length <= 24 || i % Math.ceil(marks.length / 24) === 0).map(([v, name, n]) => { const m = text('span', ''), i = document.createElement('i'); m.className = 'mark'; i.className = 'sw'; i.style.backgroundColor = `rgb(${colour(v) || paper()})`; m.append(i, n === '' ? name : `${name} (${n})`); return m; }));
	inspect();
};
const zoom = (by, px, py) => {
	const all = [.25, .5, 1, 2, 4, 8, 16, 32], z = all[Math.min(Math.max(all.indexOf(s.z) + by, 0), all.length - 1)], w = frame.clientWidth, h = frame.clientHeight, ax = px === undefined ? w / 2 : px, ay = py === undefined ? h / 2 : py;
	s.x += (ax - w / 2) * (1 / s.z - 1 / z); s.y += (ay - h / 2) * (1 / s.z - 1 / z); s.z = z;
	picture = null; draw();
};
panels.forEach((a, i) => $('panel').add(new Option(a.name, i)));
gains.forEach((g, i) => $('gain').add(new Option(g || 'only one', i)));
$('k').max = runs.length;
$('panel').onchange = e => show({p: +e.target.value, r: -1});
$('gain').onchange = e => show({g: +e.target.value});
$('layer').onchange = e => show({layer: e.target.value});
$('k').oninput = e => show({k: +e.target.value});
$('zin').onclick = () => zoom(1); $('zout').onclick = () => zoom(-1);
frame.onkeydown = e => {
	const move = {ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, -40], ArrowDown: [0, 40]}[e.key];
	if (move) { s.x += move[0] / s.z; s.y += move[1] / s.z; draw(); } else if (e.key === '+' || e.key === '=') zoom(1); else if (e.key === '-') zoom(-1); else return;
	e.preventDefault();
};
frame.addEventListener('wheel', e => { e.preventDefault(); const b = frame.getBoundingClientRect(); zoom(e.deltaY < 0 ? 1 : -1, e.clientX - b.left, e.clientY - b.top); }, {passive: false});
let from = null, moved = 0;
frame.onpointerdown = e => { from = [e.clientX, e.clientY]; moved = 0; frame.setPointerCapture(e.pointerId); };
frame.onpointermove = e => { if (!from) return; moved += Math.abs(e.clientX - from[0]) + Math.abs(e.clientY - from[1]); if (moved > 3) { s.x -= (e.clientX - from[0]) / s.z; s.y -= (e.clientY - from[1]) / s.z; draw(); } from = [e.clientX, e.clientY]; };
frame.onpointerup = e => {
	if (from && moved <= 3) { const b = frame.getBoundingClientRect(), [x, y] = report.origin || [0, 0], c = Math.floor((e.clientX - b.left - frame.clientLeft - x) / s.z), r = Math.floor((e.clientY - b.top - frame.clientTop - y) / s.z), a = panels[s.p]; if (r >= 0 && c >= 0 && r < a.rows && c < a.cols) { s.r = r; s.c = c; draw(); inspect(); } }
	from = null;
};
dark.addEventListener('change', () => { picture = null; draw(); });
report.show = show; report.load = load; report.state = s;
show({p: 0}).then(() => { report.ready = true; }).catch(e => { report.error = String(e && e.stack || e); console.error(e); });
})();
