// From the map to the segmentation, as mmccd/postprocessing.py does it. Pure functions on typed arrays: no page, no viewer.
(function (root) {
  "use strict";

  // 26-neighbourhood: every voxel that shares a face, an edge or a corner.
  function neighbours(x, y, z, shape, visit) {
    for (let k = Math.max(z - 1, 0); k <= Math.min(z + 1, shape[2] - 1); k++) {
      for (let j = Math.max(y - 1, 0); j <= Math.min(y + 1, shape[1] - 1); j++) {
        for (let i = Math.max(x - 1, 0); i <= Math.min(x + 1, shape[0] - 1); i++) {
          visit(i + shape[0] * (j + shape[1] * k));
        }
      }
    }
  }

  // Voxels of the component that holds `seed`; they are set to `label` in `mask`, where they were 1.
  function fill(mask, shape, seed, label) {
    const members = [seed];
    mask[seed] = label;
    for (let n = 0; n < members.length; n++) {
      const voxel = members[n];
      const x = voxel % shape[0];
      const y = Math.floor(voxel / shape[0]) % shape[1];
      const z = Math.floor(voxel / (shape[0] * shape[1]));
      neighbours(x, y, z, shape, (other) => {
        if (mask[other] === 1) {
          mask[other] = label;
          members.push(other);
        }
      });
    }
    return members;
  }

  /**
   * 1 where map > threshold inside the brain, without components smaller than minComponentMl (0: all are kept).
   * map: Float32Array, brain: Uint8Array, both with the first axis running fastest; shape: their three lengths.
   * The threshold is rounded to float32 first, as NumPy does when it compares.
   */
  function segment(map, brain, shape, threshold, minComponentMl, voxelMl) {
    const level = Math.fround(threshold);
    const mask = new Uint8Array(map.length);
    for (let n = 0; n < map.length; n++) {
      if (map[n] > level && brain[n] > 0) mask[n] = 1;
    }
    if (!(minComponentMl > 0)) return mask;
    for (let n = 0; n < mask.length; n++) {
      if (mask[n] !== 1) continue;
      const members = fill(mask, shape, n, 2);
      if (members.length * voxelMl < minComponentMl) members.forEach((voxel) => (mask[voxel] = 0));
    }
    return mask.map((value) => (value > 0 ? 1 : 0));
  }

  /** Number of voxels that are not 0. */
  function count(mask) {
    let sum = 0;
    for (let n = 0; n < mask.length; n++) if (mask[n]) sum++;
    return sum;
  }

  /**
   * The connected components of a mask, largest first: voxels, the voxel with the largest value of the map, that value, the mean.
   * map: Float32Array; mask: Uint8Array, not 0 where it counts.
   */
  function components(mask, map, shape) {
    const left = mask.map((value) => (value > 0 ? 1 : 0));
    const found = [];
    for (let n = 0; n < left.length; n++) {
      if (left[n] !== 1) continue;
      const members = fill(left, shape, n, 2);
      let peak = n;
      let sum = 0;
      for (const voxel of members) {
        sum += map[voxel];
        if (map[voxel] > map[peak]) peak = voxel;
      }
      const place = [peak % shape[0], Math.floor(peak / shape[0]) % shape[1], Math.floor(peak / (shape[0] * shape[1]))];
      found.push({ voxels: members.length, peak: map[peak], mean: sum / members.length, voxel: place });
    }
    return found.sort((one, other) => other.voxels - one.voxels);
  }

  /** Voxels of the mask that touch, within their axial slice, a voxel that is not in it. */
  function outline(mask, shape) {
    const edge = new Uint8Array(mask.length);
    const [nx, ny] = shape;
    for (let n = 0; n < mask.length; n++) {
      if (!mask[n]) continue;
      const x = n % nx;
      const y = Math.floor(n / nx) % ny;
      const inner = x > 0 && x < nx - 1 && y > 0 && y < ny - 1 && mask[n - 1] && mask[n + 1] && mask[n - nx] && mask[n + nx];
      if (!inner) edge[n] = 1;
    }
    return edge;
  }

  /** Between which percentages of healthy voxels lie above the threshold: [least, most]. Quantiles: {"98": 0.78, ...}. */
  function healthyAbove(threshold, quantiles) {
    let least = 0;
    let most = 100;
    for (const [percent, value] of Object.entries(quantiles)) {
      const above = Math.round((100 - Number(percent)) * 1e6) / 1e6;
      if (value <= threshold) most = Math.min(most, above);
      else least = Math.max(least, above);
    }
    return [least, most];
  }

  /** Where the map's colours begin: what is far below the threshold would hide the image. */
  function shownFrom(threshold, top) {
    return Math.min(Math.max(0.75 * threshold, 0), top);
  }

  root.segmentation = { segment, count, components, outline, healthyAbove, shownFrom };
})(globalThis);
