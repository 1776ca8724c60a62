// ---- beside the town: agents, what was recorded of the selected one, events, objects ----

function make(tag, className, parent, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function sharpen(canvas) {
  const ratio = devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  canvas.width = Math.max(Math.round(box.width * ratio), 1);
  canvas.height = Math.max(Math.round(box.height * ratio), 1);
  return canvas.getContext("2d");
}

function listAgents(view) {
  const { film } = view, key = view.side.querySelector(".key");
  film.needNames.forEach(name => {
    const label = make("span", "", key);
    make("i", "", label).style.background = film.look.needs[name];
    label.append(name);
  });
  view.rows = film.agents.map((agent, i) => {
    const row = make("tr", "", view.side.querySelector(".list tbody")), head = make("th", "", row);
    head.scope = "row";
    const button = make("button", "", head);
    make("span", "disc", button, agent.mark).style.background = colour(i);
    button.firstChild.setAttribute("aria-hidden", "true");
    const who = make("span", "who", button, agent.id), doing = make("small", "", who);
    const needs = make("div", "needs", make("td", "", row));
    needs.setAttribute("role", "img");
    const bars = film.needNames.map(name => {
      const bar = make("b", "", make("span", "", needs));
      bar.style.background = film.look.needs[name];
      return bar;
    });
    const paid = make("div", "paid", make("td", "", row)), sum = make("span", "", paid), strip = makeStrip(paid);
    needs.hidden = !isKnown(film, agent, film.needNames[0]);
    paid.hidden = !isKnown(film, agent, "reward");
    row.onclick = () => choose(chosen === i ? -1 : i);
    button.onkeydown = event => walkList(view, i, event);
    return { row, button, doing, needs, bars, sum, strip };
  });
}

// One agent at a time is reached with the tabulator; the arrows lead on from there.
function walkList(view, i, event) {
  const to = { ArrowUp: i - 1, ArrowDown: i + 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (view.rows[to]) { view.reached = to; showReached(view); view.rows[to].button.focus(); }
}
function showReached(view) {
  view.rows.forEach(({ button }, i) => { button.tabIndex = i === view.reached ? 0 : -1; });
}

function makeStrip(parent) {
  const strip = make("div", "strip", parent), canvas = make("canvas", "", strip), line = make("u", "", strip);
  canvas.setAttribute("aria-hidden", "true"); // the number beside it says what it shows
  strip.onclick = event => {
    const box = strip.getBoundingClientRect();
    event.stopPropagation();
    setPlaying(false);
    go(Math.round((event.clientX - box.left) / box.width * last()));
  };
  return { canvas, line };
}

// Each column of pixels holds the best and the worst of its stretch, on a scale of roots: small rewards show.
function drawRewards(film, agent, canvas, most) {
  const ctx = sharpen(canvas), { width, height } = canvas, zero = Math.round(height * .62);
  const reach = r => Math.sign(r) * Math.sqrt(Math.abs(r) / most);
  stretches(film, agent, "reward", width, (x, low, high) => {
    ctx.fillStyle = "#1f9d6b";
    if (high > 0) ctx.fillRect(x, zero - reach(high) * zero, 1, reach(high) * zero);
    ctx.fillStyle = "#d8433b";
    if (low < 0) ctx.fillRect(x, zero, 1, -reach(low) * (height - zero));
  });
  ctx.fillStyle = "#8888";
  ctx.fillRect(0, zero, width, 1);
}

function drawCurve(film, agent, name, canvas, [from, to]) {
  const ctx = sharpen(canvas), { width, height } = canvas, thick = Math.ceil(1.5 * (devicePixelRatio || 1));
  const up = value => Math.round((height - thick) * (1 - (to > from ? (value - from) / (to - from) : .5)));
  ctx.fillStyle = "#8882";
  ctx.fillRect(0, 0, width, height);
  ctx.fillStyle = name === "value" ? "#2f6fde" : "#8457c9";
  stretches(film, agent, name, width, (x, low, high) => ctx.fillRect(x, up(high), 1, up(low) - up(high) + thick));
}

function stretches(film, agent, name, width, show) {
  for (let x = 0; x < width; x++) {
    const from = Math.floor(x * film.moments / width), to = Math.max(Math.ceil((x + 1) * film.moments / width), from + 1);
    let low = Infinity, high = -Infinity;
    for (let m = from; m < to; m++) {
      const value = read(film, agent, name, m);
      if (value !== null) { low = Math.min(low, value); high = Math.max(high, value); }
    }
    if (low <= high) show(x, low, high);
  }
}

// Of all agents of all films: what is compared has one scale.
function rangeOf(name) {
  let low = Infinity, high = -Infinity;
  for (const film of films) for (const agent of film.agents) for (let m = 0; m < film.moments; m++) {
    const value = read(film, agent, name, m);
    if (value !== null) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  return [low, high];
}

// What was recorded of the selected agent, one strip for each number.
function showChosen(view) {
  const { film } = view, card = view.side.querySelector(".detail"), agent = film.agents[chosen], strips = card.querySelector(".strips");
  card.querySelector("h3").textContent = agent ? agent.id : "Nobody selected";
  strips.replaceChildren();
  view.strips = [];
  if (!agent) { card.querySelector(".about").textContent = "Select an agent for its choices, values and rewards."; return; }
  for (const name of ["probability", "value", "reward"]) {
    if (!isKnown(film, agent, name)) continue;
    const group = make("div", "", strips), text = make("p", "", group), label = make("span", "", text), number = make("span", "soft", text);
    view.strips.push({ name, label, number, ...makeStrip(group) });
  }
}

function drawChosen(view) {
  const { film } = view, agent = film.agents[chosen];
  for (const { name, canvas, number } of view.strips) {
    if (name === "reward") { drawRewards(film, agent, canvas, view.most); number.textContent = "of each tick"; continue; }
    const range = name === "probability" ? [0, 1] : view.range;
    drawCurve(film, agent, name, canvas, range);
    number.textContent = name === "probability" ? "0 to 100 %" : range.map(value => value.toFixed(2)).join(" to ");
  }
}

function tellChosen(view, m) {
  const { film } = view, agent = film.agents[chosen];
  if (!agent) return;
  const needs = film.needNames.map(name => [name, read(film, agent, name, m)]).filter(([, need]) => need !== null);
  const wallet = read(film, agent, "wallet", m);
  const said = [film.doing[agent.doing[m]], ...needs.map(([name, need]) => name + " " + percent(need))];
  if (wallet !== null) said.push("wallet " + wallet.toFixed(2));
  view.side.querySelector(".about").textContent = said.filter(Boolean).join(" · ");
  for (const { name, label, line } of view.strips) {
    line.style.left = m / Math.max(last(), 1) * 100 + "%";
    label.textContent = sayRecorded(film, agent, name, m);
  }
}

function sayRecorded(film, agent, name, m) {
  const value = read(film, agent, name, m);
  if (name === "probability") return value === null ? "no action recorded" : "probability of " + film.actions[agent.action[m]] + ": " + percent(value);
  if (name === "value") return "critic's value: " + (value === null ? "not recorded" : value.toFixed(2));
  return "reward: " + (value === null ? "none" : value.toFixed(3));
}

function tellAgents(view, m) {
  const { film } = view;
  film.agents.forEach((agent, i) => {
    const { row, button, doing, needs, bars, sum, strip } = view.rows[i], told = film.doing[agent.doing[m]];
    row.className = (agent.alive[m] ? "" : "gone ") + (chosen === i ? "chosen" : "");
    button.setAttribute("aria-pressed", chosen === i);
    doing.textContent = row.title = told;
    const said = film.needNames.map((name, n) => {
      const need = read(film, agent, name, m);
      bars[n].style.width = (need || 0) * 100 + "%";
      return need === null ? "" : name + " " + percent(need);
    });
    needs.setAttribute("aria-label", said.join(", "));
    strip.line.style.left = m / Math.max(last(), 1) * 100 + "%";
    sum.textContent = agent.total[m].toFixed(2);
  });
}

// The same thing again and again, such as a long chat, is one entry.
function latestEvents(film, m, most) {
  const found = [];
  for (let n = film.events.length - 1; n >= 0; n--) {
    const event = film.events[n], newer = found.at(-1);
    if (event.moment > m) continue;
    if (newer && newer.text === event.text) newer.times++;
    else if (found.length === most) break;
    else found.push({ ...event, n, times: 1 });
  }
  return found;
}

function tellEvents(view, m) {
  const { film } = view, list = view.side.querySelector(".events"), past = latestEvents(film, m, 12);
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.n : undefined;
  list.replaceChildren();
  for (const event of past) {
    const button = make("button", (event.over !== undefined ? "bad " : "") + (event.moment === m ? "new" : ""), make("li", "", list));
    button.dataset.n = event.n;
    make("time", "", button, clock(event.moment) || film.tick[event.moment]);
    make("span", "", button, event.text + (event.times > 1 ? " ×" + event.times : ""));
    button.onclick = () => { setPlaying(false); go(event.moment); };
    if (focused === button.dataset.n) button.focus();
  }
  if (!past.length) make("li", "soft", list, film.events.length ? "nothing yet" : "nothing that counts as an event");
}

function listObjects(view) {
  const body = view.side.querySelector(".objects tbody");
  view.things = view.film.objects.map(thing => {
    const row = make("tr", "", body);
    make("th", "", row, thing.id).scope = "row";
    return { row, kind: make("td", "", row), state: make("td", "", row) };
  });
  view.side.querySelector(".objects").hidden = !view.things.length;
  view.side.querySelector(".objects").ontoggle = () => tellObjects(view, Math.floor(now));
}

function tellObjects(view, m) {
  if (!view.side.querySelector(".objects").open) return;
  view.film.objects.forEach((thing, o) => {
    const { row, kind, state } = view.things[o], isThere = thing.kind[m] >= 0;
    row.hidden = !isThere;
    kind.textContent = isThere ? view.film.kinds[thing.kind[m]].name : "";
    state.textContent = isThere ? stateOf(view.film, thing, m) : "";
  });
}
