// The console's own behaviour: theme, keys, live parts, leases, focus. Pages work
// without it; nothing here writes HTML.
"use strict";
(() => {
  const body = document.body;
  const root = document.documentElement;
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const fire = (name) => body.dispatchEvent(new CustomEvent(name));

  // Theme: a cookie, so that the next page comes in it.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  all("[data-theme-toggle]").forEach((button) =>
    button.addEventListener("click", () => {
      const now = root.dataset.theme || (dark.matches ? "dark" : "light");
      root.dataset.theme = now === "dark" ? "light" : "dark";
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `llmguard_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Strict${secure}`;
    }),
  );

  // What htmx sends carries the session's form token.
  body.addEventListener("htmx:configRequest", (event) => {
    if (body.dataset.csrf) event.detail.headers["X-CSRF-Token"] = body.dataset.csrf;
  });
  const toast = (text, stays = false) => {
    const place = find("#toast");
    place.textContent = text;
    place.classList.add("shown");
    clearTimeout(toast.timer);
    if (!stays) toast.timer = setTimeout(() => place.classList.remove("shown"), 6000);
  };
  // Logged out while writing: what was written stays; a login in another tab brings
  // the form back to life.
  let out = false;
  const loggedOut = () => {
    out = true;
    toast("You were logged out. What you typed is still here: log in in another tab, then come back and send it.", true);
  };
  const again = async () => {
    if (!out) return;
    const answer = await fetch(body.dataset.session, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const told = await answer.json();
    if (told.name !== body.dataset.name) {
      toast(`You are logged in as ${told.name} now, not as ${body.dataset.name}. Copy what you need and reload the page.`, true);
      return;
    }
    out = false;
    body.dataset.csrf = told.csrf;
    for (const field of all("input[name=csrf]")) field.value = told.csrf;
    toast("You are logged in again: send it now.");
  };
  addEventListener("focus", again);
  document.addEventListener("visibilitychange", () => document.hidden || again());
  body.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401) loggedOut();
    else toast(`The console refused this (${status}). Reload the page and try again.`);
  });
  body.addEventListener("htmx:sendError", () => toast("The console cannot be reached. What you typed is still here."));

  // Live parts: one stream per page; elements with hx-trigger="changed from:body" ask.
  const live = find("[data-live]");
  if (live) {
    let stream;
    const open = () => {
      if (stream) return;
      stream = new EventSource(live.dataset.live);
      stream.addEventListener("changed", () => fire("changed"));
      stream.addEventListener("over", () => {
        stream.close();
        fire("over");
      });
    };
    const close = () => {
      if (stream) stream.close();
      stream = undefined;
    };
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    addEventListener("pagehide", close);
    if (!document.hidden) open();
  }

  // Focus: what is wrong first, else where the pressed button was.
  const settle = (from) => {
    const wrong = find("[data-focus], .errors", from);
    if (!wrong) return false;
    if (!wrong.hasAttribute("tabindex")) wrong.setAttribute("tabindex", "-1");
    wrong.focus();
    return true;
  };
  settle(document);
  let pressed = "";
  body.addEventListener("htmx:beforeRequest", (event) => {
    const by = event.detail.requestConfig.triggeringEvent?.submitter;
    pressed = by ? `${by.name}=${by.value}` : "";
  });
  body.addEventListener("htmx:afterSettle", (event) => {
    const from = event.detail.elt;
    if (!pressed || settle(from)) return;
    const [verb, name] = pressed.replace(/^op=/, "").split(" ");
    pressed = "";
    if (!name) return;
    const part = document.getElementById(`f-${name}`);
    if (!part) return;
    const inside = all("input:not([type=hidden]), select, textarea", part);
    const goal = verb === "add" ? inside.at(-1) : (part.matches("input, select, textarea") ? part : inside[0]);
    (goal || part).focus();
  });

  // A list that is renewed keeps the reader's place: the same row, or what came up there.
  let place;
  body.addEventListener("htmx:beforeSwap", (event) => {
    const rows = all("[data-row]", event.detail.target);
    const at = rows.indexOf(document.activeElement);
    place = at < 0 ? undefined : { at, href: rows[at].getAttribute("href") };
  });
  body.addEventListener("htmx:afterSwap", (event) => {
    if (!place) return;
    const rows = all("[data-row]", event.detail.target);
    const same = rows.find((one) => one.getAttribute("href") === place.href);
    (same || rows[Math.min(place.at, rows.length - 1)])?.focus({ preventScroll: true });
    place = undefined;
  });

  // Filters apply at once; without scripts their button does.
  all("select[data-auto]").forEach((one) => {
    one.addEventListener("change", () => one.form.requestSubmit());
  });

  // Only once: a double click is one answer.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent && !form.hasAttribute("hx-post")) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 5000);
    if (form.method === "post") body.dataset.left = "1";
  });

  // The lease: renewed while somebody is at the page, never by an abandoned tab.
  const lease = find("[data-lease]");
  if (lease) {
    const ACTIVE = 10 * 60 * 1000;
    let seen = Date.now();
    let until = Date.now() + Number(lease.dataset.left) * 1000;
    let lost = false;
    for (const name of ["keydown", "pointerdown", "scroll", "input"]) {
      addEventListener(name, () => (seen = Date.now()), { passive: true, capture: true });
    }
    const left = find("[data-lease-left]", lease);
    const say = () => {
      if (lost) return;
      const seconds = Math.max(0, Math.round((until - Date.now()) / 1000));
      left.textContent = seconds >= 90 ? `${Math.round(seconds / 60)} min` : `${seconds} s`;
      lease.classList.toggle("short", seconds < 120);
    };
    const lose = (why) => {
      lost = true;
      const notice = find("#lease-lost");
      find("[data-why]", notice).textContent = why;
      notice.hidden = false;
      notice.focus();
      lease.hidden = true;
    };
    const renew = async () => {
      if (lost) return;
      try {
        const answer = await fetch(lease.dataset.lease, {
          method: "POST",
          headers: { "X-CSRF-Token": body.dataset.csrf, Accept: "application/json", "Content-Type": "application/x-www-form-urlencoded" },
          body: new URLSearchParams({ token: lease.dataset.token }),
        });
        const told = await answer.json();
        if (answer.ok) until = Date.now() + told.left * 1000;
        else if (answer.status === 401) loggedOut();
        else if (answer.status === 409) lose(told.error.message);
      } catch {
        // The network is away; the next turn tries again, and the count goes on.
      }
      say();
    };
    setInterval(() => {
      if (Date.now() - seen < ACTIVE) renew();
    }, Number(lease.dataset.every) * 1000);
    setInterval(say, 1000);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) renew();
    });
    // Taken again after it was lost: under another token, which all forms need.
    body.addEventListener("htmx:afterSettle", () => {
      const given = find("#answer input[name=token]")?.value;
      if (!given || given === lease.dataset.token) return;
      lease.dataset.token = given;
      for (const field of all("input[name=token]")) field.value = given;
      lost = false;
      lease.hidden = false;
      find("#lease-lost").hidden = true;
      renew();
    });
    say();
  }

  // Keys: `data-key` on a link or button, `data-go` after g, j and k in lists.
  const help = find("#help");
  const toggleHelp = () => (help.open ? help.close() : help.showModal());
  all("[data-help]").forEach((button) => button.addEventListener("click", toggleHelp));
  const typing = (element) => element.matches("input, textarea, select, [contenteditable]");
  const shown = (element) => element.getClientRects().length > 0 && !element.disabled;
  let going = 0;
  const row = (step) => {
    const rows = all("[data-row]").filter(shown);
    const at = rows.indexOf(document.activeElement);
    const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1)];
    if (next) next.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && typing(event.target) && !help.open) {
      event.target.blur();
      find("#main").focus();
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      const submit = find("[data-submit]");
      if (submit && shown(submit)) {
        event.preventDefault();
        submit.click();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "?") {
      event.preventDefault();
      toggleHelp();
      return;
    }
    if (help.open) return;
    if (Date.now() - going < 1500) {
      going = 0;
      const goal = all("[data-go]").find((one) => one.dataset.go === event.key);
      if (goal) {
        event.preventDefault();
        goal.click();
      }
      return;
    }
    if (event.key === "g") {
      going = Date.now();
      return;
    }
    if (event.key === "j" || event.key === "k") {
      event.preventDefault();
      row(event.key === "j" ? 1 : -1);
      return;
    }
    const hit = all("[data-key]").find((one) => one.dataset.key === event.key && shown(one));
    if (hit) {
      event.preventDefault();
      if (hit.matches("input, textarea, select, [tabindex='-1']")) hit.focus();
      else hit.click();
    }
  });
  // A summary that a key opened has its first field focused.
  document.addEventListener("toggle", (event) => {
    if (event.target.open && event.target.matches("details[data-open-focus]")) {
      find("input:not([type=hidden]), textarea", event.target)?.focus();
    }
  }, true);
})();
