// Plays the forward and the reverse process of one or more chains on one time line.
//
// A scene brings the states of its chain, the points that the forward process starts from and the noise that it
// ends in. Everything is seen variance-preserving: y = cos(a) x0 + sin(a) eps, tan(a) the noise ratio sigma / alpha.
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const numbers = (text, scale) => Float32Array.from(new Int16Array(bytes(text).buffer), (v) => v * scale);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = (x) => (x === 0 ? "0" : x >= 100 ? x.toFixed(0) : String(Number(x.toPrecision(2))));

  class Scene {
    constructor(figure, data) {
      this.canvas = figure.querySelector("canvas");
      this.tip = figure.querySelector(".tip");
      this.count = figure.querySelector(".outside");
      Object.assign(this, data);
      this.states = numbers(data.states, data.unit);
      this.clean = numbers(data.clean, data.unit);
      this.noise = numbers(data.noise, data.unit);
      this.truth = numbers(data.truth, data.unit);
      this.colours = bytes(data.colours);
      this.now = new Float32Array(2 * this.n);
      this.hovered = -1;
      this.pointer = null;
      this.canvas.addEventListener("pointermove", (event) => { this.pointer = [event.offsetX, event.offsetY]; this.draw(); });
      this.canvas.addEventListener("pointerleave", () => { this.pointer = null; this.draw(); });
    }

    // The cloud at a frame: forward by the formula, in reverse between the chain's states on either side.
    move(frame) {
      const { n, now } = this;
      if (frame.forward) {
        const c = Math.cos(frame.angle), s = Math.sin(frame.angle);
        for (let i = 0; i < 2 * n; i++) now[i] = c * this.clean[i] + s * this.noise[i];
      } else {
        const position = Math.min(this.positions[frame.index], this.n_states - 1);
        const k = Math.min(Math.floor(position), this.n_states - 2), share = position - k, a = 2 * n * k, b = a + 2 * n;
        for (let i = 0; i < 2 * n; i++) now[i] = (1 - share) * this.states[a + i] + share * this.states[b + i];
      }
      this.frame = frame;
      this.draw();
    }

    fit() {
      const side = this.canvas.clientWidth, ratio = window.devicePixelRatio || 1;
      if (this.canvas.width !== Math.round(side * ratio)) this.canvas.width = this.canvas.height = Math.round(side * ratio);
      this.context = this.canvas.getContext("2d");
      this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
      this.side = side;
      this.scale = side / (2 * this.window);
    }

    x(v) { return this.side / 2 + (v - this.middle[0]) * this.scale; }
    y(v) { return this.side / 2 - (v - this.middle[1]) * this.scale; }

    draw() {
      if (!this.frame) return;
      this.fit();
      const { context, now, n } = this;
      context.clearRect(0, 0, this.side, this.side);
      const ghost = Math.max(1.2, this.side / 300), dot = Math.max(1.8, this.side / 200);
      context.fillStyle = style("--ghost");
      for (let i = 0; i < this.truth.length; i += 2)
        context.fillRect(this.x(this.truth[i]) - ghost / 2, this.y(this.truth[i + 1]) - ghost / 2, ghost, ghost);
      const hues = this.frame.forward ? this.coloursForward : this.colours;
      const palette = PALETTES[dark.matches ? "dark" : "light"];
      let last = -1, outside = 0;
      for (const i of this.order(hues)) {
        if (hues[i] !== last) { last = hues[i]; context.fillStyle = palette[last]; }
        const x = this.x(now[2 * i]), y = this.y(now[2 * i + 1]);
        context.fillRect(x - dot / 2, y - dot / 2, dot, dot);
        if (x < 0 || y < 0 || x > this.side || y > this.side) outside++;
      }
      this.count.textContent = outside ? ` · ${outside} point${outside > 1 ? "s" : ""} outside` : "";
      this.hover();
    }

    // Points of one colour one after the other: changing the colour is what costs.
    order(hues) {
      this.orders ??= new Map();
      if (!this.orders.has(hues)) {
        const order = Array.from({ length: this.n }, (_, i) => i).sort((a, b) => hues[a] - hues[b]);
        this.orders.set(hues, order);
      }
      return this.orders.get(hues);
    }

    get coloursForward() {
      this.forwardColours ??= bytes(this.colours_forward);
      return this.forwardColours;
    }

    hover() {
      this.tip.style.display = "none";
      if (!this.pointer) return;
      const [px, py] = this.pointer;
      let best = 14 * 14, found = -1;
      for (let i = 0; i < this.n; i++) {
        const d = (this.x(this.now[2 * i]) - px) ** 2 + (this.y(this.now[2 * i + 1]) - py) ** 2;
        if (d < best) { best = d; found = i; }
      }
      if (found < 0) return;
      const context = this.context, forward = this.frame.forward;
      context.strokeStyle = style("--ink");
      context.lineWidth = 1.2;
      context.beginPath();
      if (forward) {
        for (let s = 0; s <= 40; s++) {
          const a = (s / 40) * Math.PI / 2;
          const at = [0, 1].map((j) => Math.cos(a) * this.clean[2 * found + j] + Math.sin(a) * this.noise[2 * found + j]);
          context.lineTo(this.x(at[0]), this.y(at[1]));
        }
      } else {
        for (let k = 0; k < this.n_states; k++)
          context.lineTo(this.x(this.states[2 * (this.n * k + found)]), this.y(this.states[2 * (this.n * k + found) + 1]));
      }
      context.stroke();
      context.beginPath();
      context.arc(this.x(this.now[2 * found]), this.y(this.now[2 * found + 1]), 5, 0, 7);
      context.stroke();
      const show = (v) => v.map((c, j) => Number((c * this.original.scale[j] + this.original.center[j]).toPrecision(5))).join(", ");
      const end = forward ? [this.clean[2 * found], this.clean[2 * found + 1]]
        : [this.states[2 * (this.n * (this.n_states - 1) + found)], this.states[2 * (this.n * (this.n_states - 1) + found) + 1]];
      this.tip.textContent = `(${show([this.now[2 * found], this.now[2 * found + 1]])})  ${forward ? "from" : "to"} (${show(end)})`;
      this.tip.style.display = "block";
      const left = Math.min(Math.max(0, px + 12), Math.max(0, this.side - this.tip.offsetWidth));
      this.tip.style.left = `${left}px`;
      this.tip.style.top = `${py > 40 ? py - 34 : py + 18}px`;
    }
  }

  let PALETTES = {};
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  class Player {
    constructor(root) {
      const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
      PALETTES = data.palette;
      this.frames = data.frames;
      this.scenes = [...root.querySelectorAll("figure")].map((figure, i) => new Scene(figure, data.scenes[i]));
      this.button = root.querySelector("button");
      this.slider = root.querySelector("input[type='range']");
      this.speed = root.querySelector("select");
      this.caption = root.querySelector("output");
      this.slider.max = this.frames.length - 1;
      this.position = 0;
      this.playing = false;
      this.button.addEventListener("click", () => this.toggle());
      this.slider.addEventListener("input", () => { this.pause(); this.show(Number(this.slider.value)); });
      root.addEventListener("keydown", (event) => this.key(event));
      window.addEventListener("resize", () => this.scenes.forEach((scene) => scene.draw()));
      dark.addEventListener("change", () => this.scenes.forEach((scene) => scene.draw()));
      this.show(0);
      if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) this.play();
    }

    key(event) {
      const last = this.frames.length - 1, at = Math.round(this.position);
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 10, PageDown: at + 10, Home: 0, End: last }[event.key];
      if (event.key === " " && event.target !== this.button) this.toggle();
      else if (to !== undefined && event.target !== this.speed) { this.pause(); this.show(Math.min(Math.max(to, 0), last)); }
      else return;
      event.preventDefault();
    }

    toggle() { this.playing ? this.pause() : this.play(); }
    pause() { this.playing = false; this.button.textContent = "Play"; }

    play() {
      this.playing = true;
      this.button.textContent = "Pause";
      if (this.position >= this.frames.length - 1) this.position = 0;
      let before = null;
      const tick = (time) => {
        if (!this.playing) return;
        if (before !== null) this.position += ((time - before) / 1000) * 24 * Number(this.speed.value);
        before = time;
        if (this.position >= this.frames.length - 1) { this.show(this.frames.length - 1); this.pause(); return; }
        this.show(this.position);
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }

    show(position) {
      this.position = position;
      const index = Math.floor(position), frame = { ...this.frames[index], index };
      this.slider.value = index;
      this.scenes.forEach((scene) => scene.move(frame));
      const step = frame.forward ? "" : ` · step ${Math.round(this.scenes[0].positions[index] * this.scenes[0].stride)} of ${this.scenes[0].steps}`;
      const words = `${frame.forward ? "forward: noise is added" : "reverse: noise is removed"} · σ/α = ${digits(frame.ratio)}${step}`;
      this.caption.textContent = words;
      this.slider.setAttribute("aria-valuetext", words);
    }
  }

  document.querySelectorAll(".player").forEach((root) => { root.player = new Player(root); });
})();
