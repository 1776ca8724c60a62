"use strict";
// Shows the values of a column at once and beside the pointer. Without this the browser shows them as a title.
const tip = document.getElementById("tip");
for (const chart of document.querySelectorAll("figure svg")) {
  const hits = [...chart.querySelectorAll(".hit")];
  for (const hit of hits) {
    const title = hit.querySelector("title");
    hit.values = title.textContent.replace(": ", "\n").replaceAll("; ", "\n");
    title.remove(); // or there would be two
    hit.onpointermove = event => show(hit, event.clientX, event.clientY);
    hit.onpointerleave = hide;
  }
  let at = -1;
  chart.onblur = hide;
  chart.onkeydown = event => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9, Escape: 0 }[event.key];
    if (step === undefined || !hits.length) return;
    event.preventDefault();
    if (!step) return hide();
    at = Math.min(Math.max(at + step, 0), hits.length - 1);
    const box = hits[at].getBoundingClientRect();
    show(hits[at], box.x + box.width / 2, box.y + 12);
  };
}
function show(hit, x, y) {
  hide();
  tip.textContent = hit.values;
  tip.hidden = false;
  const left = Math.min(x + 14, innerWidth - tip.offsetWidth - 8);
  tip.style.left = Math.max(left, 8) + "px";
  tip.style.top = Math.max(Math.min(y + 14, innerHeight - tip.offsetHeight - 8), 8) + "px";
  const cursor = hit.parentNode.querySelector(".cursor"), middle = +hit.getAttribute("x") + hit.getAttribute("width") / 2;
  for (const name of ["x1", "x2"]) cursor.setAttribute(name, middle);
  cursor.setAttribute("y1", hit.getAttribute("y"));
  cursor.setAttribute("y2", +hit.getAttribute("y") + +hit.getAttribute("height"));
  cursor.style.strokeOpacity = .5;
}
function hide() {
  tip.hidden = true;
  for (const cursor of document.querySelectorAll(".cursor")) cursor.style.strokeOpacity = 0;
}
document.documentElement.dataset.ready = document.querySelectorAll("figure").length;
