/* Draws the book's Plotly figures.
 *
 * A browser keeps only about sixteen 3-D drawings alive, so a figure is drawn when it comes near the window and given
 * back when it is far away; the reader's own view of it is kept. Meshes that stand side by side turn together.
 */
(function () {
  "use strict";

  const figures = new Map();

  const scenesOf = (layout) => Object.keys(layout).filter((name) => /^scene\d*$/.test(name));

  /* Step back from meshes whose place is narrower than tall, so that a phone shows them whole. */
  function stepBack(box, layout) {
    for (const name of scenesOf(layout)) {
      const scene = layout[name];
      const [left, right] = (scene.domain && scene.domain.x) || [0, 1];
      const ratio = ((right - left) * box.clientWidth) / box.clientHeight;
      if (ratio > 0 && ratio < 0.8 && scene.camera && scene.camera.eye) {
        for (const axis of ["x", "y", "z"]) scene.camera.eye[axis] *= 0.8 / ratio;
      }
    }
  }

  /* On a phone the buttons would cover the title, and fingers turn and move a figure without them. */
  function fit(box, content) {
    stepBack(box, content.layout);
    if (box.clientWidth < 500) content.config = Object.assign({}, content.config, { displayModeBar: false });
  }

  function turnTogether(box, scenes) {
    let following = false;
    const follow = (event) => {
      const moved = scenes.find((name) => event[name + ".camera"]);
      if (following || !moved) return;
      const change = {};
      for (const name of scenes) if (name !== moved) change[name + ".camera"] = event[moved + ".camera"];
      following = true;
      Plotly.relayout(box, change).finally(() => (following = false));
    };
    box.on("plotly_relayouting", follow);
    box.on("plotly_relayout", follow);
  }

  /* Meshes have no text under the pointer; asking them for it fails when the pointer leaves while a mesh turns. */
  function askNoMesh(box, scenes) {
    for (const name of scenes) {
      for (const trace of Object.values(box._fullLayout[name]._scene.traces)) {
        if (trace.mesh) trace.mesh.pick = () => null;
      }
    }
  }

  function draw(box) {
    const figure = figures.get(box);
    if (figure.drawn) return;
    if (!figure.fitted) fit(box, figure.content);
    figure.drawn = figure.fitted = true;
    const scenes = scenesOf(figure.content.layout);
    Plotly.newPlot(box, figure.content).then(() => {
      askNoMesh(box, scenes);
      if (scenes.length > 1) turnTogether(box, scenes);
    });
  }

  function giveBack(box) {
    const figure = figures.get(box);
    if (!figure.drawn || !scenesOf(figure.content.layout).length) return;
    figure.content.layout = box.layout;
    figure.drawn = false;
    Plotly.purge(box);
  }

  const near = new IntersectionObserver(
    (entries) => entries.forEach((entry) => (entry.isIntersecting ? draw : giveBack)(entry.target)),
    { rootMargin: "800px 0px" }
  );

  window.drawFigure = function (box, content) {
    figures.set(box, { content: content, drawn: false, fitted: false });
    near.observe(box);
  };

  window.addEventListener("beforeprint", () => figures.forEach((figure, box) => draw(box)));
})();
