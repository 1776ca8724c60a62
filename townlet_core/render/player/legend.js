// ---- what the map's signs mean, drawn as the map draws them ----

function legendEntries() {
  const film = films[0], plain = { busy: false, broken: false, stock: -1 };
  const kinds = film.kinds.map((kind, k) => [kind.name, (ctx, size) => drawKind(ctx, size, 0, 0, k, plain)]);
  const first = film.kinds.length ? 0 : -1, agent = colour(0);
  const disc1 = (ctx, size, x) => { disc(ctx, size, x, .5, .36, agent, "#fff", .06); };
  const whole = first < 0 || film.note ? [] : [
    ["in use", (ctx, size) => drawKind(ctx, size, 0, 0, first, { ...plain, busy: true })],
    ["using it: the ring is its progress", (ctx, size) => { disc1(ctx, size, .5); ring(ctx, size, .5, .5, .4, .7); }],
    ["place in line", (ctx, size) => { disc1(ctx, size, .45); badge(ctx, size, .78, .2, "2", agent); }],
    ["waits for it, or is offered it", (ctx, size) => dashes(ctx, size, [.05, .5, .95, .5], agent)],
    ["conflict: who, over what", (ctx, size) => burst(ctx, size, .5, .5, .5)],
  ];
  if (film.objects.some(thing => thing.broken.some(Boolean))) whole.push(["out of order", (ctx, size) => drawKind(ctx, size, 0, 0, first, { ...plain, broken: true })]);
  if (film.objects.some(thing => thing.stock.some(units => units >= 0))) whole.push(["units in stock", (ctx, size) => badge(ctx, size, .5, .5, "3", "#23262e")]);
  const person = ["agent, with its letter", (ctx, size) => { disc1(ctx, size, .5); letter(ctx, size, .5, .5, film.agents[0].mark, "#fff", .5); }];
  return [...kinds, person, ["selected", (ctx, size) => { disc(ctx, size, .5, .5, .48, "#ffd84a66", "#e8b500", .06); disc1(ctx, size, .5); }], ...whole];
}

function drawLegend() {
  const list = byId("legend").querySelector("ul"), look = films[0].look[theme()];
  list.replaceChildren();
  for (const [text, paint] of legendEntries()) {
    const item = make("li", "", list), canvas = make("canvas", "", item);
    item.append(text);
    canvas.setAttribute("aria-hidden", "true");
    canvas.width = canvas.height = Math.round(32 * (devicePixelRatio || 1));
    const ctx = canvas.getContext("2d");
    ctx.fillStyle = look.floor[0];
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    paint(ctx, canvas.width);
  }
}
