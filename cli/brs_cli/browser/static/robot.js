// The robot in 3-D: what joints, base and boxes were measured at turns and moves its parts.

import { at } from "./samples.js";

function times3(a, b) {
  return a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]));
}

function turn([x, y, z], angle) {
  const [c, s, v] = [Math.cos(angle), Math.sin(angle), 1 - Math.cos(angle)];
  return [
    [c + x * x * v, x * y * v - z * s, x * z * v + y * s],
    [y * x * v + z * s, c + y * y * v, y * z * v - x * s],
    [z * x * v - y * s, z * y * v + x * s, c + z * z * v],
  ];
}

function turnBy([x, y, z, w]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
  ];
}

// Moves the parts of a scene to where they were at a time.
//
// view: NiceGUI's scene; parts: ids and joints as scene.py tells them; data: the episode.
export function drawRobot(view, parts, data, time) {
  if (!view?.objects || !parts.root) return;
  const values = Object.fromEntries(data.panels.map((p) => [p.key, at(p.measured, time)]));
  for (const joint of parts.joints) {
    const value = values[joint.panel]?.[joint.column];
    if (value === undefined || value === null) continue;
    const q = joint.offset + joint.scale * value;
    if (joint.slides) {
      const along = joint.rotation.map((row) => row.reduce((sum, r, i) => sum + r * joint.axis[i], 0));
      view.move(joint.id, ...joint.position.map((p, i) => p + q * along[i]));
    } else {
      view.rotate(joint.id, times3(joint.rotation, turn(joint.axis, q)));
    }
  }
  const base = at(data.base, time);
  if (base && !base.includes(null)) {
    view.move(parts.root, base[0], base[1], parts.height);
    view.rotate(parts.root, turn([0, 0, 1], base[2]));
  }
  for (const [name, id] of Object.entries(parts.boxes)) {
    const pose = at(data.boxes[name], time);
    if (!pose || pose.includes(null)) continue;
    view.move(id, ...pose.slice(0, 3));
    view.rotate(id, turnBy(pose.slice(3)));
  }
}
