"use strict";
// The before/after slider. A range input lies over the pictures, so that mouse, touch and keyboard
// work as the browser has them; the script only moves the border and chooses the pictures.
document.documentElement.classList.add("js");

for (const scene of document.querySelectorAll(".scene")) {
  const stage = scene.querySelector(".stage");
  const cut = stage.querySelector(".cut");
  const layers = [...stage.querySelectorAll(".layer")];
  const selects = [...scene.querySelectorAll("select")];

  const update = () => {
    stage.style.setProperty("--cut", cut.value + "%");
    const [left, right] = selects.map((select) => select.value);
    for (const layer of layers) {
      layer.classList.toggle("left", layer.dataset.name === left);
      layer.classList.toggle("right", layer.dataset.name === right);
    }
    for (const side of ["left", "right"]) {
      const layer = layers.find((l) => l.classList.contains(side));
      const value = layer.dataset.value;
      scene.querySelector(".tag-" + side).textContent =
        layer.dataset.name + (value ? " · " + value : "");
    }
    const share = Math.round(cut.value);
    cut.setAttribute("aria-valuetext", `${share} % ${left}, ${100 - share} % ${right}`);
  };

  const show = scene.querySelector(".show");
  if (show) show.addEventListener("change", () => stage.classList.toggle("boxed", show.checked));
  cut.addEventListener("input", update);
  selects.forEach((select) => select.addEventListener("change", update));
  update();
}
