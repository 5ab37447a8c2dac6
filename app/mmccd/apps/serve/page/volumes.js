// A scan's volumes in memory, and what is computed from them; the segmentation itself is made by the report's script.

import * as api from "./api.js";

const { segment, count, components } = globalThis.segmentation;
const HEADER_BYTES = 352;

/** Fetch a scan's volumes. */
export async function load(id) {
  const figures = await api.figures(id);
  const files = {};
  await Promise.all(figures.volumes.map(async (name) => (files[name] = await api.volume(id, name))));
  const shape = [...new Int16Array(files.map, 42, 3)];
  return { id, figures, files, shape, map: new Float32Array(files.map, HEADER_BYTES), brain: new Uint8Array(files.brain, HEADER_BYTES) };
}

/** What lies above a threshold: mask, and its volume in mL. */
export function above(scan, threshold) {
  const { min_component_ml: least, voxel_ml: voxel } = scan.figures;
  const mask = segment(scan.map, scan.brain, scan.shape, threshold, least, voxel);
  return { mask, millilitres: count(mask) * voxel };
}

/** The regions of a mask, with their volume and confidence (of the mean, as in the report). */
export function regions(scan, mask) {
  const { points, voxel_ml: voxel } = scan.figures;
  const levels = [points.specific?.threshold, points.balanced?.threshold];
  const confidence = (mean) => (levels.includes(undefined) ? null : mean > levels[0] ? "high" : mean > levels[1] ? "moderate" : "low");
  return components(mask, scan.map, scan.shape).map((one) => ({ ...one, millilitres: one.voxels * voxel, confidence: confidence(one.mean) }));
}
