"use strict";
// ---- what is shown: each recording is a film; everything that changes is a column over its moments ----

const [FREE, WAITING, HOLDING, USING] = [0, 1, 2, 3];
const LETTERS = "AB";
let films = [];

// The blob as townlet_core/render/pack.py writes it.
async function unpack(text) {
  const packed = Uint8Array.from(atob(text.trim()), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const head = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const film = JSON.parse(new TextDecoder().decode(bytes.subarray(4, head)));
  const planes = bytes.subarray(head), count = planes.length / 4, n = film.moments;
  const values = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const z = planes[i] | planes[i + count] << 8 | planes[i + 2 * count] << 16 | planes[i + 3 * count] << 24;
    const change = z >>> 1 ^ -(z & 1);
    values[i] = i % n ? values[i - 1] + change | 0 : change;
  }
  let at = 0;
  const column = () => values.subarray(at, at += n);
  const columns = names => Object.fromEntries(names.map(name => [name, column()]));
  film.tick = column();
  film.agents = film.agents.map(agent => ({ ...agent, ...columns(film.columns.agent) }));
  film.objects = film.objects.map(id => ({ id, ...columns(film.columns.object) }));
  for (const agent of film.agents) Object.assign(agent, columns(film.columns.choice));
  return withTotals(film);
}

function withTotals(film) {
  film.needNames = Object.keys(film.look.needs);
  film.quarrels = film.events.filter(event => event.over !== undefined);
  film.sum = new Float64Array(film.moments);
  for (const agent of film.agents) {
    agent.total = new Float64Array(film.moments);
    for (let m = 0; m < film.moments; m++) {
      agent.total[m] = (m ? agent.total[m - 1] : 0) + (read(film, agent, "reward", m) || 0);
      film.sum[m] += agent.total[m];
    }
  }
  return film;
}

// A number of an agent at a moment, in its own unit; null where it is not known.
function read(film, agent, name, m) {
  const value = agent[name][m], steps = film.steps[name] || film.steps.need;
  return value === film.steps.unknown ? null : value / steps;
}
const isKnown = (film, agent, name) => agent[name].some(value => value !== film.steps.unknown);
const colour = i => films[0].look.agents[i % films[0].look.agents.length];
const percent = share => Math.round(share * 100) + "\u00a0%";

function clock(m) {
  const film = films[0];
  if (!film.ticksPerDay) return "";
  const day = (film.dayStart + film.tick[m]) % film.ticksPerDay, minutes = Math.floor(day * 1440 / film.ticksPerDay);
  return String(Math.floor(minutes / 60)).padStart(2, "0") + ":" + String(minutes % 60).padStart(2, "0");
}

// What an object is at a moment, in words.
function stateOf(film, thing, m) {
  const name = i => film.agents[i].id, said = [];
  const line = film.agents.map((agent, i) => i).filter(i => {
    const agent = film.agents[i];
    return agent.alive[m] && agent.role[m] === WAITING && film.objects[agent.object[m]] === thing;
  }).sort((a, b) => film.agents[a].place[m] - film.agents[b].place[m]);
  if (thing.broken[m]) said.push("out of order");
  if (thing.user[m] >= 0) said.push("used by " + name(thing.user[m]));
  if (thing.holder[m] >= 0) said.push("offered to " + name(thing.holder[m]));
  if (line.length) said.push("in line: " + line.map(name).join(", "));
  if (thing.stock[m] >= 0) said.push("stock " + thing.stock[m]);
  return said.join("; ") || (film.note ? "" : "free");
}
