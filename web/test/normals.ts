import { standardNormal } from '../src/core/random'
import { uniforms } from '../src/core/seeded'

/** Normal numbers that are the same in every run. */
export const normals = (seed: number, count: number): Float32Array =>
  standardNormal(count, 1, uniforms(seed))
