// ---- the page: one moment, shown by every view ----

const byId = id => document.getElementById(id);
const SPEEDS = [1, 2, 5, 10, 20, 40, 80, 160]; // ticks per second
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
let views = [], now = 0, playing = false, speed, chosen = -1, named = true, lastTime = 0, run = 0, shown = -1;

Promise.all([...document.querySelectorAll("script.film")].map(film => unpack(film.textContent))).then(start).catch(error => {
  byId("note").hidden = false;
  byId("note").textContent = "This recording cannot be shown: " + error;
  document.documentElement.dataset.error = String(error);
});

const last = () => films[0].moments - 1;
const theme = () => document.documentElement.dataset.theme;

function start(unpacked) {
  films = unpacked;
  const [film] = films;
  document.documentElement.classList.toggle("two", films.length > 1);
  for (const name of ["title", "description"]) byId(name).textContent = film[name];
  byId("facts").textContent = Object.entries(film.facts).filter(([name]) => films.every(other => other.facts[name] === film.facts[name])).map(([name, value]) => name + " " + value).join(" · ");
  byId("note").textContent = film.note;
  byId("note").hidden = !film.note;
  byId("scrub").max = last();
  chosen = Math.max(film.focus, 0);
  views = films.map(makeView);
  for (const value of SPEEDS) byId("speed").add(new Option(value + " ticks/s", value));
  setSpeed(SPEEDS.find(value => value > 1 && film.moments / value <= 40) || 160);
  setNames(film.agents.length <= 12);
  reserveRoom();
  connect();
  const wanted = new URLSearchParams(location.hash.slice(1));
  setTheme(wanted.get("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  go(wanted.has("tick") ? wanted.get("tick") - film.tick[0] : 0);
  if (wanted.has("play")) setPlaying(true);
  document.documentElement.dataset.ready = film.moments;
}

function makeView(film, n) {
  const part = name => byId(name).content.firstElementChild.cloneNode(true);
  const view = { film, stage: part("stage"), side: part("side"), spots: new Map(), pointer: null };
  view.canvas = view.stage.querySelector("canvas");
  view.tip = view.stage.querySelector(".tip");
  view.name = films.length > 1 ? LETTERS[n] + " · " + film.label : "";
  view.canvas.setAttribute("aria-label", "Map of the town at the chosen moment" + (view.name && ", " + view.name) + "; agents and objects are listed beside it");
  for (const place of [view.stage, view.side]) place.querySelector(".whose").textContent = view.name;
  view.side.setAttribute("aria-label", view.name || "Agents, events and objects");
  byId("stages").append(view.stage);
  byId("sides").append(view.side);
  view.marks = make("canvas", "", byId("marks"));
  view.most = Math.max(1e-9, ...rangeOf("reward").map(Math.abs).filter(Number.isFinite));
  view.range = rangeOf("value");
  view.reached = chosen;
  listAgents(view);
  showReached(view);
  listObjects(view);
  connectMap(view);
  showChosen(view);
  return view;
}

// Nothing moves when a number gets another digit.
function reserveRoom() {
  const widest = (id, text) => { byId(id).style.minWidth = text.length + .5 + "ch"; };
  widest("tick", tickText(last()));
  const most = Math.max(...films.map(film => film.quarrels.length));
  widest("count", countText(most, most));
  if (films.length < 2) return;
  byId("compare").hidden = false;
  for (const view of views) {
    const row = make("tr", "", byId("compare").querySelector("tbody"));
    make("th", "", row, view.name).scope = "row";
    view.cells = ["reward", "conflicts", "waiting"].map(() => make("td", "", row));
  }
}

function connect() {
  byId("play").onclick = () => setPlaying(!playing);
  byId("back").onclick = () => step(-1);
  byId("forth").onclick = () => step(1);
  byId("after").onclick = () => toConflict(1);
  byId("before").onclick = () => toConflict(-1);
  byId("scrub").oninput = event => { setPlaying(false); go(+event.target.value); };
  byId("speed").onchange = event => setSpeed(+event.target.value);
  byId("names").onclick = () => { setNames(!named); draw(); };
  byId("theme").onclick = () => setTheme(theme() === "dark" ? "light" : "dark");
  addEventListener("resize", layOut);
  addEventListener("keydown", pressed);
}

function pressed(event) {
  const { target, key } = event, own = target.closest("button, summary") ? [" ", "Enter"] : target.tagName === "INPUT" ? ["ArrowLeft", "ArrowRight", "Home", "End", " "] : [];
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || target.tagName === "SELECT" || own.includes(key)) return;
  const change = d => setSpeed(SPEEDS[Math.min(Math.max(SPEEDS.indexOf(speed) + d, 0), SPEEDS.length - 1)]);
  const letters = {
    "+": () => change(1), "-": () => change(-1), q: () => toConflict(1), Q: () => toConflict(-1),
    n: () => byId("names").click(), d: () => byId("theme").click(),
  };
  const keys = {
    " ": () => setPlaying(!playing), ArrowLeft: () => step(event.shiftKey ? -10 : -1), ArrowRight: () => step(event.shiftKey ? 10 : 1),
    Home: () => { setPlaying(false); go(0); }, End: () => { setPlaying(false); go(last()); }, Escape: () => choose(-1),
    ...(byId("letters").checked ? letters : {}),
  };
  if (keys[key]) { event.preventDefault(); keys[key](); }
}

function setTheme(name) {
  document.documentElement.dataset.theme = name === "dark" ? "dark" : "light";
  byId("theme").setAttribute("aria-pressed", name === "dark");
  drawLegend();
  layOut();
}
function setSpeed(value) { speed = value; byId("speed").value = value; }
function setNames(on) { named = on; byId("names").setAttribute("aria-pressed", on); }
function step(by) { setPlaying(false); go(Math.round(now) + by); }
function choose(i) {
  chosen = i;
  for (const view of views) { if (i >= 0) { view.reached = i; showReached(view); } showChosen(view); drawChosen(view); }
  shown = -1;
  draw();
}

// The moments of conflicts of any film, before or after now.
function conflictBeside(direction) {
  const moments = films.flatMap(film => film.quarrels.map(event => event.moment)).filter(m => direction > 0 ? m > now : m < Math.floor(now));
  return moments.length ? (direction > 0 ? Math.min : Math.max)(...moments) : null;
}
function toConflict(direction) {
  const moment = conflictBeside(direction);
  if (moment === null) return;
  setPlaying(false);
  go(moment);
}
function go(moment) {
  now = Math.min(Math.max(Number.isFinite(moment) ? moment : 0, 0), last());
  draw();
}
function setPlaying(on) {
  if (on === playing) return;
  if (on && now >= last()) now = 0;
  playing = on;
  byId("play").textContent = on ? "Pause" : "Play";
  lastTime = performance.now();
  run++;
  if (on) soon(frame, run); else { shown = -1; go(Math.round(now)); }
}
// At the next frame of the screen, or where nobody looks and there are none, a little later.
function soon(step, mine) {
  let done = false;
  const once = () => { if (!done) { done = true; step(mine); } };
  requestAnimationFrame(once);
  setTimeout(once, 60);
}
function frame(mine) {
  if (!playing || mine !== run) return; // stopped, or started anew, since it was asked for
  const time = performance.now();
  now = Math.min(now + Math.max(time - lastTime, 0) / 1000 * speed, last());
  lastTime = time;
  if (now >= last()) setPlaying(false); else { draw(); soon(frame, mine); }
}

function layOut() {
  const ratio = devicePixelRatio || 1, under = byId("controls").offsetHeight + 30;
  for (const view of views) {
    const { film, canvas } = view, room = Math.max(innerHeight - byId("stages").getBoundingClientRect().top - scrollY - under - 40, 260);
    const tile = Math.max(Math.min((view.stage.clientWidth - 2) / film.width, room / film.height, 96), 4);
    canvas.width = Math.round(tile * film.width * ratio);
    canvas.height = Math.round(tile * film.height * ratio);
    canvas.style.width = tile * film.width + "px";
    canvas.style.height = tile * film.height + "px";
    view.floor = view.labelled = null;
    film.agents.forEach((agent, i) => drawRewards(film, agent, view.rows[i].strip.canvas, view.most));
    drawChosen(view);
    drawMarks(view);
  }
  shown = -1;
  draw();
}

function drawMarks({ film, marks }) {
  const ctx = sharpen(marks), { width, height } = marks;
  for (const event of [...film.events].sort((a, b) => (a.over !== undefined) - (b.over !== undefined))) {
    const x = 8 + event.moment / Math.max(last(), 1) * (width - 16), bad = event.over !== undefined;
    ctx.fillStyle = bad ? film.look.quarrel[0] : "#8889";
    ctx.fillRect(x - 1, bad ? 0 : height * .45, bad ? 3 : 2, bad ? height * .8 : height * .35);
  }
}

function draw() {
  const m = Math.floor(now + 1e-9);
  if (m !== shown) tell(shown = m);
  for (const view of views) { drawTown(view); if (view.pointer) tellPointer(view); }
}

const tickText = m => "tick " + films[0].tick[m] + " of " + films[0].tick[last()];
const countText = (n, all) => all ? n + " of " + all + (all === 1 ? " conflict" : " conflicts") : "no conflicts";

function tell(m) {
  byId("scrub").value = m;
  byId("clock").textContent = clock(m);
  byId("tick").textContent = tickText(m);
  byId("scrub").setAttribute("aria-valuetext", (tickText(m) + " " + clock(m)).trim());
  byId("count").textContent = films.map(film => countText(film.quarrels.filter(event => event.moment <= m).length, film.quarrels.length)).join(" | ");
  // Not `disabled`: a button that has the focus would lose it, and the reader with it.
  for (const [id, direction] of [["before", -1], ["after", 1]]) byId(id).setAttribute("aria-disabled", conflictBeside(direction) === null);
  for (const view of views) tellView(view, m);
  if (!playing) byId("spoken").textContent = [tickText(m), ...films.flatMap(film => film.events.filter(event => event.moment === m).map(event => event.text))].join(". ");
}

function tellView(view, m) {
  const { film } = view, present = film.agents.filter(agent => agent.alive[m]), count = role => present.filter(agent => agent.role[m] === role).length;
  view.stage.querySelector(".state").textContent = present.length + (film.note ? " in sight" : " in town · " + count(USING) + " busy · " + count(WAITING) + " waiting");
  tellAgents(view, m);
  tellChosen(view, m);
  tellEvents(view, m);
  tellObjects(view, m);
  if (view.cells) [film.sum[m].toFixed(2), film.quarrels.filter(event => event.moment <= m).length, count(WAITING)].forEach((text, n) => { view.cells[n].textContent = text; });
}
