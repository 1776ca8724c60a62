// ---- names on the map: each where nothing hides it, or left out ----

const PLACES = [[0, 1], [0, -1], [1, 0], [-1, 0], [.8, 1], [-.8, 1], [.8, -1], [-.8, -1], [0, 1.9], [0, -1.9]];

// Where the names of a moment stand: boxes in pixels of the canvas, relative to what they name. A name takes the
// first of its places that costs least; one that would cover another name is left out, unless it is selected.
function placeNames(view, ctx, size, m) {
  const { film } = view, ratio = devicePixelRatio || 1, pixels = Math.min(Math.max(size * .3, 10 * ratio), 14 * ratio);
  const radius = discRadius(size), taken = [], wanted = [];
  const width = text => { ctx.font = nameFont(pixels); return ctx.measureText(text).width + 6 * ratio; };
  const discs = film.agents.filter(agent => agent.alive[m]).map(agent => around(agent.x[m] + .5, agent.y[m] + .5, radius, size));
  film.agents.forEach((agent, i) => {
    if (agent.alive[m] && (named || chosen === i)) wanted.push({ key: "a" + i, agent: i, text: agent.id, x: agent.x[m] + .5, y: agent.y[m] + .5, reach: radius + (chosen === i ? .26 : .06), must: chosen === i });
  });
  wanted.sort((a, b) => b.must - a.must);
  const things = film.objects.filter(thing => thing.kind[m] >= 0);
  if (named) for (const thing of things) wanted.push({ key: "o" + thing.id, text: thing.id, x: thing.x[m] + .5, y: thing.y[m] + .5, reach: .5, isThing: true });
  const squares = things.map(thing => around(thing.x[m] + .5, thing.y[m] + .5, .45, size));
  for (const name of wanted) {
    const box = { w: width(name.text), h: pixels * 1.25 };
    let best = null;
    PLACES.forEach((place, n) => {
      const spot = boxAt(name, place, box, size, view.canvas);
      const hidden = taken.reduce((sum, other) => sum + overlap(spot, other), 0);
      if (hidden > 0 && !name.must) return;
      const cover = discs.reduce((sum, disc) => sum + overlap(spot, disc), 0) * 3 + squares.reduce((sum, square) => sum + overlap(spot, square), 0);
      const cost = hidden * 9 + cover + n * box.h * 2 - (view.spots.get(name.key) === n ? box.h * 3 : 0);
      if (!best || cost < best.cost) best = { ...name, ...spot, n, cost, cover };
    });
    if (!best || name.isThing && best.cover > best.w * best.h * .5) continue; // no room
    view.spots.set(name.key, best.n);
    taken.push(best);
  }
  return { pixels, names: taken };
}

const nameFont = pixels => "500 " + pixels + "px system-ui, sans-serif";
const around = (x, y, radius, size) => ({ left: (x - radius) * size, top: (y - radius) * size, w: 2 * radius * size, h: 2 * radius * size });
function overlap(a, b) {
  const w = Math.min(a.left + a.w, b.left + b.w) - Math.max(a.left, b.left), h = Math.min(a.top + a.h, b.top + b.h) - Math.max(a.top, b.top);
  return w > 0 && h > 0 ? w * h : 0;
}
function boxAt(name, [across, down], { w, h }, size, canvas) {
  const x = (name.x + across * name.reach) * size + across * w / 2, y = (name.y + down * name.reach) * size + down * h / 2;
  const inside = (at, room, length) => Math.min(Math.max(at, 0), Math.max(length - room, 0));
  return { left: inside(x - w / 2, w, canvas.width), top: inside(y - h / 2, h, canvas.height), w, h };
}

function drawNames(view, ctx, size, m, places) {
  const key = [m, size, chosen, named].join();
  if (view.labelled !== key) { view.labels = placeNames(view, ctx, size, m); view.labelled = key; }
  const isDark = theme() === "dark", ratio = devicePixelRatio || 1;
  for (const name of view.labels.names) {
    const moved = name.agent === undefined ? [0, 0] : [(places[name.agent][0] - name.x) * size, (places[name.agent][1] - name.y) * size];
    const left = name.left + moved[0], top = name.top + moved[1];
    ctx.fillStyle = isDark ? "#16181dd9" : "#ffffffd9";
    ctx.beginPath(); ctx.roundRect(left, top, name.w, name.h, 3 * ratio); ctx.fill();
    ctx.font = (name.isThing ? "italic " : "") + nameFont(view.labels.pixels);
    ctx.textAlign = "center"; ctx.textBaseline = "middle"; ctx.fillStyle = isDark ? "#e8e8ea" : "#23262e";
    ctx.fillText(name.text, left + name.w / 2, top + name.h * .53);
  }
}
