// What moves on the console's pages. Everything works without it.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// Times: in the viewer's zone, short; all of it on pointing at them.

const sameYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const otherYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function localise(root) {
  for (const time of $$("time[datetime]", root)) {
    const at = new Date(time.dateTime);
    if (isNaN(at) || time.title) continue;
    time.title = time.dateTime.replace("T", " ").replace("Z", " UTC");
    time.textContent = (at.getFullYear() === new Date().getFullYear() ? sameYear : otherYear).format(at);
  }
}

function countDown() {
  for (const holder of $$("[data-countdown]")) {
    const time = $("time", holder);
    if (!time) continue;
    const seconds = Math.round((new Date(time.dateTime) - Date.now()) / 1000);
    let text = "any moment now";
    if (seconds > 0) {
      const h = Math.floor(seconds / 3600), m = Math.floor(seconds / 60) % 60, s = seconds % 60;
      text = "in " + (h ? `${h} h ${m} min` : m ? `${m} min ${s} s` : `${s} s`);
    }
    if (time.textContent !== text) time.textContent = text;
  }
}

// Copy: what the snippet beside the button says.

function offerCopy(root) {
  if (!navigator.clipboard) return;
  for (const button of $$("[data-copy]", root)) {
    button.hidden = false;
    button.onclick = async () => {
      await navigator.clipboard.writeText($("code", button.parentElement).textContent.trim());
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    };
  }
}

function enliven(root) {
  localise(root);
  offerCopy(root);
}

// Live parts: asked for again and again while the page is seen; put in place only when they have changed.

const live = { paused: false, away: false, turns: [], tags: new WeakMap() };

function showLive() {
  const button = $("[data-live-switch]");
  if (!button) return;
  button.setAttribute("aria-pressed", String(!live.paused));
  button.toggleAttribute("data-away", live.away && !live.paused);
  $("span", button).textContent = live.paused ? "Paused" : live.away ? "Not up to date" : "Live";
}

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html").body;
}

async function refresh(part) {
  const headers = { "X-Fragment": "1" };
  if (live.tags.has(part)) headers["If-None-Match"] = live.tags.get(part);
  const answer = await fetch(part.dataset.live, { headers, cache: "no-store" });
  if (answer.status !== 200 && answer.status !== 304) throw new Error(answer.statusText);
  if (answer.status === 304 || live.paused) return;
  const fresh = parse(await answer.text());
  const first = !live.tags.has(part);
  live.tags.set(part, answer.headers.get("ETag"));
  const known = new Set($$("a.row", part).map((a) => a.href));
  const focused = part.contains(document.activeElement) ? document.activeElement.href : null;
  enliven(fresh);
  part.replaceChildren(...fresh.childNodes);
  for (const a of $$("a.row", part)) {
    if (!first && !known.has(a.href)) a.closest("tr")?.classList.add("new");
    if (focused && a.href === focused) a.focus({ preventScroll: true });
  }
}

function goLive(part) {
  const every = Number(part.dataset.every);
  let timer, busy = false;
  const turn = async () => {
    clearTimeout(timer);
    if (busy) return; // It goes on by itself.
    busy = true;
    const selection = getSelection();
    const selecting = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    if (!live.paused && !selecting && document.visibilityState === "visible") {
      try {
        await refresh(part);
        live.away = false;
      } catch {
        live.away = true; // The relay or its database, or the session has ended: try again.
      }
      showLive();
    }
    busy = false;
    timer = setTimeout(turn, every);
  };
  timer = setTimeout(turn, every);
  live.turns.push(turn);
}

// Whoever comes back sees at once what is new.
function catchUp() {
  if (!live.paused && document.visibilityState === "visible") live.turns.forEach((turn) => turn());
}

function offerPause() {
  const button = $("[data-live-switch]");
  if (!button || !$("[data-live]")) return;
  button.hidden = false;
  button.onclick = () => {
    live.paused = !live.paused;
    showLive();
    catchUp();
  };
}

// Forms whose answer is a part of this page.

function sendInPlace(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const target = document.getElementById(form.dataset.fragment);
    const button = $("button", form);
    const text = button.textContent;
    button.disabled = true;
    button.textContent = "Sending…";
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Fragment": "1" } });
      const fresh = parse(await answer.text());
      enliven(fresh);
      target.replaceChildren(...fresh.childNodes);
    } catch {
      target.textContent = "The relay does not answer. Try again in a moment.";
    }
    button.disabled = false;
    button.textContent = text;
  });
}

// Choosing an event type means "only these"; everything under a name covers what is under it.

function chooser(box) {
  const some = $("[data-which-some]");
  const show = () => { box.hidden = !some.checked; };
  for (const radio of $$("[name=which]")) radio.addEventListener("change", show);
  const cover = () => {
    for (const all of $$("[data-all]", box)) {
      for (const one of $$("[name=type]", all.closest(".group"))) {
        if (one !== all) one.disabled = all.checked;
      }
    }
  };
  box.addEventListener("change", cover);
  show();
  cover();
}

function moreHeaders(form) {
  form.addEventListener("input", (event) => {
    const row = event.target.closest("[data-header]");
    const rows = $$("[data-header]", form);
    if (!row || row !== rows[rows.length - 1] || !event.target.value) return;
    const next = row.cloneNode(true);
    for (const input of $$("input", next)) input.value = "";
    row.after(next);
  });
}

// Light and dark.

function offerThemes() {
  const button = $("[data-theme-switch]");
  button.hidden = false;
  button.onclick = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // It holds for this page.
    }
  };
}

// The keyboard.

const places = { w: "/", l: "/log", d: "/docs", o: "/overview" };
let awaited = "";

function step(direction) {
  const rows = $$("a.row");
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = rows[Math.min(Math.max(at + direction, 0), rows.length - 1)];
  next.focus();
  next.closest("[data-row]")?.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
  if (event.target.matches("input:not([type=radio], [type=checkbox]), textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key;
  if (awaited === "g" && places[key] && $(`nav a[href="${places[key]}"]`)) {
    location.href = places[key];
    return;
  }
  awaited = key === "g" ? "g" : "";
  if (key === "g") setTimeout(() => { awaited = ""; }, 1000);
  const keyed = key.length === 1 && /[a-z]/.test(key) ? $(`[data-key="${key}"]`) : null;
  if (key === "/") $(".find input")?.focus();
  else if (key === "?") $("#keys").showModal();
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "p") $("[data-live-switch]")?.click();
  else if (keyed) keyed.click();
  else return;
  event.preventDefault();
}

enliven(document);
countDown();
setInterval(countDown, 1000);
$$("[data-live]").forEach(goLive);
offerPause();
$$("form[data-fragment]").forEach(sendInPlace);
$$("[data-chooser]").forEach(chooser);
$$("form.form").forEach(moreHeaders);
$$("form[data-filter] select").forEach((select) => select.addEventListener("change", () => select.form.requestSubmit()));
$$("form[data-filter]").forEach((form) => form.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
}));
$$("form[data-submit]").forEach((form) => form.requestSubmit());
$("[data-focus]")?.focus();
offerThemes();
const keys = $("[data-keys-open]");
keys.hidden = false;
keys.onclick = () => $("#keys").showModal();
$("[data-zone]").textContent = `Times are in your zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", catchUp);

// A reload shall not send a form again, nor say again what was done.
const settled = $("[data-settle]")?.dataset.settle;
const here = new URL(location.href);
if (settled) history.replaceState(null, "", settled);
else if (here.searchParams.has("done")) {
  here.searchParams.delete("done");
  history.replaceState(null, "", here);
}
