// ---- the town; townlet_core/render/paint.py draws the same ----

function drawTown(view) {
  const { film, canvas } = view, m = Math.floor(now + 1e-9), ctx = canvas.getContext("2d"), size = canvas.width / film.width;
  if (!view.floor) view.floor = drawFloor(film, canvas, size);
  ctx.drawImage(view.floor, 0, 0);
  const places = view.places = film.agents.map(agent => place(film, agent, m));
  for (const event of film.quarrels) if (event.moment <= m && event.moment > m - 3) drawQuarrel(film, ctx, size, event, m, places);
  film.agents.forEach((agent, i) => { if (agent.alive[m] && agent.role[m] !== FREE) drawTie(film, ctx, size, agent, i, m, places[i]); });
  for (const thing of film.objects) if (thing.kind[m] >= 0) {
    drawKind(ctx, size, thing.x[m], thing.y[m], thing.kind[m], { busy: thing.user[m] >= 0, broken: thing.broken[m], stock: thing.stock[m] });
  }
  drawNight(film, ctx, canvas, m);
  film.agents.forEach((agent, i) => { if (agent.alive[m]) drawAgent(ctx, size, agent, i, m, places[i]); });
  drawNames(view, ctx, size, m, places);
}

// Where an agent is between two moments: it walks one tile at most, or has come from elsewhere.
function place(film, agent, m) {
  const part = now - m, to = Math.min(m + 1, film.moments - 1), x = agent.x[m], y = agent.y[m];
  const near = Math.abs(agent.x[to] - x) + Math.abs(agent.y[to] - y) <= 1;
  if (part < 1e-6 || !near || !agent.alive[to] || STILL.matches) return [x + .5, y + .5];
  return [x + .5 + (agent.x[to] - x) * part, y + .5 + (agent.y[to] - y) * part];
}

function drawFloor(film, canvas, size) {
  const result = document.createElement("canvas"), look = film.look[theme()];
  result.width = canvas.width; result.height = canvas.height;
  const ctx = result.getContext("2d"), walls = new Set(film.walls), grass = new Set(film.grass);
  const fill = (x, y, from, to, style) => {
    const left = Math.round(x * size), top = Math.round((y + from) * size);
    ctx.fillStyle = style;
    ctx.fillRect(left, top, Math.round((x + 1) * size) - left, Math.round((y + to) * size) - top);
  };
  for (let y = 0; y < film.height; y++) for (let x = 0; x < film.width; x++) {
    const at = x + y * film.width;
    fill(x, y, 0, 1, (grass.has(at) ? look.grass : look.floor)[(x + y) % 2]);
    if (walls.has(at)) fill(x, y, 0, 1, look.wall[0]);
    if (walls.has(at) && !walls.has(at + film.width)) fill(x, y, .625, 1, look.wall[1]);
  }
  return result;
}

function drawNight(film, ctx, canvas, m) {
  if (!film.ticksPerDay || film.moments < film.ticksPerDay / 4) return;
  const dark = Math.cos(2 * Math.PI * (film.dayStart + film.tick[m]) / film.ticksPerDay) - .25;
  if (dark <= 0) return;
  ctx.fillStyle = "rgba(22, 28, 74, " + dark * .42 + ")";
  ctx.fillRect(0, 0, canvas.width, canvas.height);
}

function line(ctx, size, points, style, width) {
  ctx.beginPath();
  for (let n = 0; n < points.length; n += 2) ctx.lineTo(points[n] * size, points[n + 1] * size);
  ctx.strokeStyle = style; ctx.lineWidth = Math.max(width * size, 1); ctx.lineJoin = "round"; ctx.stroke();
}
function dashes(ctx, size, points, style) {
  ctx.setLineDash([.24 * size, .16 * size]);
  line(ctx, size, points, style, .08);
  ctx.setLineDash([]);
}
function disc(ctx, size, x, y, radius, fill, edge, width) {
  ctx.beginPath(); ctx.arc(x * size, y * size, radius * size, 0, 7);
  if (fill) { ctx.fillStyle = fill; ctx.fill(); }
  if (edge) { ctx.strokeStyle = edge; ctx.lineWidth = Math.max(width * size, 1); ctx.stroke(); }
}
function ring(ctx, size, x, y, radius, part) {
  ctx.beginPath(); ctx.arc(x * size, y * size, radius * size, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * Math.max(part, .03));
  ctx.strokeStyle = films[0].look.busy; ctx.lineWidth = Math.max(.11 * size, 1.5); ctx.stroke();
}
function box(ctx, size, x0, y0, x1, y1, radius, fill, edge, width) {
  ctx.beginPath(); ctx.roundRect(x0 * size, y0 * size, (x1 - x0) * size, (y1 - y0) * size, radius * size);
  if (fill) { ctx.fillStyle = fill; ctx.fill(); }
  if (edge) { ctx.strokeStyle = edge; ctx.lineWidth = Math.max(width * size, 1); ctx.stroke(); }
}
function letter(ctx, size, x, y, text, style, height) {
  ctx.font = "600 " + Math.max(height * size, 5) + "px system-ui, sans-serif";
  ctx.textAlign = "center"; ctx.textBaseline = "middle"; ctx.fillStyle = style;
  ctx.fillText(text, x * size, y * size + height * size * .06);
}
function badge(ctx, size, x, y, text, ink) {
  if (size < 16) return;
  const half = .17 + .09 * (text.length - 1);
  box(ctx, size, x - half, y - .19, x + half, y + .19, .19, "#fff", ink, .03);
  letter(ctx, size, x, y, text, ink, .3);
}

function drawQuarrel(film, ctx, size, event, m, places) {
  const thing = film.objects[event.over], x = thing.x[m] + .5, y = thing.y[m] + .5;
  ctx.globalAlpha = [1, .5, .2][m - event.moment];
  for (const i of event.between) if (film.agents[i].alive[m]) line(ctx, size, [x, y, ...places[i]], film.look.quarrel[0], .1);
  burst(ctx, size, x, y, 1);
  ctx.globalAlpha = 1;
}

function burst(ctx, size, x, y, scale) {
  films[0].look.quarrel.forEach((style, n) => {
    ctx.beginPath();
    for (let point = 0; point < 24; point++) {
      const angle = Math.PI * point / 12, radius = (n ? .8 : 1) * (point % 2 ? 1 : .68) * size * scale;
      ctx.lineTo(x * size + radius * Math.cos(angle), y * size + radius * Math.sin(angle));
    }
    ctx.fillStyle = style; ctx.fill();
  });
}

function drawTie(film, ctx, size, agent, i, m, [x, y]) {
  const thing = film.objects[agent.object[m]];
  if (!thing) return;
  const ends = [x, y, thing.x[m] + .5, thing.y[m] + .5];
  if (agent.role[m] === USING) line(ctx, size, ends, film.look.busy, .13);
  else dashes(ctx, size, ends, colour(i));
}

function drawKind(ctx, size, x, y, k, { busy, broken, stock }) {
  const { look, kinds } = films[0], kind = look.kinds[k], [fill, ink] = broken ? look.broken : [kind.fill, kind.ink];
  box(ctx, size, x + .08, y + .08, x + .92, y + .92, .18, fill, busy ? look.busy : ink, busy ? .09 : .05);
  for (const [shape, p] of kind.strokes) {
    if (shape === "line") line(ctx, size, p.map((value, n) => value + (n % 2 ? y : x)), ink, .055);
    else if (shape === "box") box(ctx, size, x + p[0], y + p[1], x + p[2], y + p[3], .06, null, ink, .055);
    else disc(ctx, size, x + p[0], y + p[1], p[2], shape === "dot" ? ink : null, ink, .04);
  }
  if (!kind.strokes.length) letter(ctx, size, x + .5, y + .5, kinds[k].mark, ink, .6);
  if (broken) line(ctx, size, [x + .18, y + .82, x + .82, y + .18], look.quarrel[0], .1);
  if (stock >= 0) badge(ctx, size, x + .88, y + .88, String(stock), ink);
}

function drawAgent(ctx, size, agent, i, m, [x, y]) {
  const radius = discRadius(size);
  if (chosen === i) disc(ctx, size, x, y, radius + .24, "#ffd84a66", "#e8b500", .06);
  disc(ctx, size, x, y, radius, colour(i), "#fff", .06);
  if (agent.role[m] === USING) ring(ctx, size, x, y, radius + .04, agent.progress[m] / 100);
  letter(ctx, size, x, y, agent.mark, "#fff", radius * 1.3);
  if (agent.role[m] === WAITING) badge(ctx, size, x + .34, y - .34, String(agent.place[m]), colour(i));
}

// Where tiles are small, people are a little larger than theirs, so that one finds them.
const discRadius = size => Math.min(Math.max(9 * (devicePixelRatio || 1) / size, .38), .56);

// ---- under the pointer ----

function connectMap(view) {
  const at = event => {
    const box = view.canvas.getBoundingClientRect(), tile = box.width / view.film.width;
    return [(event.clientX - box.left) / tile, (event.clientY - box.top) / tile];
  };
  view.canvas.onpointermove = event => { view.pointer = at(event); tellPointer(view); };
  view.canvas.onpointerleave = () => { view.pointer = null; tellPointer(view); };
  view.canvas.onclick = event => {
    view.pointer = at(event);
    const [agent] = under(view).agents;
    if (agent !== undefined) choose(chosen === agent ? -1 : agent);
    tellPointer(view);
  };
}

// Who and what is at the pointer, agents first.
function under({ film, pointer: [x, y], places, canvas }) {
  const m = Math.floor(now), radius = Math.max(discRadius(canvas.width / film.width), .45);
  const agents = film.agents.map((agent, i) => i).filter(i => film.agents[i].alive[m] && Math.hypot(places[i][0] - x, places[i][1] - y) <= radius);
  const things = film.objects.filter(thing => thing.kind[m] >= 0 && thing.x[m] === Math.floor(x) && thing.y[m] === Math.floor(y));
  return { agents, things };
}

function tellPointer(view) {
  const { film, pointer } = view, m = Math.floor(now);
  if (!pointer) { view.tip.hidden = true; return; }
  const { agents, things } = under(view), kindOf = thing => film.kinds[thing.kind[m]].name;
  const lines = [
    ...agents.map(i => film.agents[i].id + ": " + film.doing[film.agents[i].doing[m]]),
    ...things.map(thing => thing.id + (kindOf(thing) === thing.id ? "" : " (" + kindOf(thing) + ")") + (stateOf(film, thing, m) ? ": " + stateOf(film, thing, m) : "")),
  ];
  view.tip.hidden = !lines.length;
  view.tip.textContent = lines.join("\n");
  const tile = view.canvas.clientWidth / film.width, left = pointer[0] * tile + 14, top = pointer[1] * tile + 14;
  view.tip.style.left = Math.max(Math.min(left, view.canvas.clientWidth - view.tip.offsetWidth), 0) + "px";
  view.tip.style.top = (top + view.tip.offsetHeight > view.canvas.clientHeight ? Math.max(top - view.tip.offsetHeight - 24, 0) : top) + "px";
}
