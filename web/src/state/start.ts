/** From a page to an explorer: what must be there at once, then the rest, then the networks. */

import { Originals } from '../core/originals'
import { aligned, axes, embedding, identity, line, principal, snapped, type Plane } from '../core/plane'
import { PlaneIndex } from '../core/neighbours'
import { addDetails, loadPoints, type Points } from '../core/points'
import type { DataSource } from '../core/source'
import type { Backend } from '../engine/backend'
import { Refused } from '../engine/page'
import { Explorer } from './explorer.svelte'
import { measure } from './measure'
import { playOf } from './play.svelte'
import { trainingOf } from './training.svelte'

/** The explorer with its points; PageError when the page cannot be read. */
export async function begin(backend: Backend): Promise<Explorer> {
  const { source } = backend
  const picture = source.has('poster') ? source.bitmap('poster') : null
  const [points, poster] = await Promise.all([loadPoints(source), picture])
  const found = [...laid(source, points), ...(await planes(source, points))]
  const shown = backend.all ? found.slice(0, 1) : found // the server has one place of each code
  return new Explorer(backend, points, shown.map((plane) => snapped(plane, points.codebook)), poster)
}

/** The plane on which a run lies as the one beside it, if there is one. */
function laid({ manifest }: DataSource, points: Points): Plane[] {
  const { basis, origin } = manifest.partner ?? {}
  return basis && origin ? [aligned(points, basis, origin)] : []
}

async function planes(source: DataSource, points: Points): Promise<Plane[]> {
  if (points.D === 1) return [line(points.latents)]
  if (points.D === 2) return [identity(points.latents)]
  const found: Plane[] = []
  if (source.has('pca')) {
    const [positions, B, mean] = await Promise.all(
      ['pca', 'pca_basis', 'pca_mean'].map((name) => source.floats(name)),
    )
    found.push(principal(positions, B, mean))
  }
  if (source.has('umap')) {
    const positions = await source.floats('umap')
    const index = new PlaneIndex(positions)
    const nearest = (u: number, v: number, count: number): number[] =>
      index.nearest(u, v, count).map((near) => near.index)
    found.push(embedding(positions, points.latents, points.D, nearest))
  }
  return [...found, axes(points.latents, points.D, 0, 1)]
}

/** Everything that can come after the first picture. */
export async function carryOn(explorer: Explorer): Promise<void> {
  const { source } = explorer
  if (explorer.backend.play) playOf(explorer).connect()
  const engine = startEngine(explorer)
  await addDetails(explorer.points, source)
  explorer.details = true
  explorer.pins.complete()
  await measure(explorer)
  if (source.has('originals') && source.manifest.originals)
    explorer.networks.originals = new Originals(await source.bitmap('originals'), source.manifest)
  explorer.pins.complete()
  await engine
  const [remark] = source.manifest.remarks
  if (remark) explorer.notice ??= { tone: 'warning', text: remark }
  if (explorer.backend.train) trainingOf(explorer).connect()
}

const DECODING_OFF = 'Decoding is off; the map and the images made beforehand still work.'

/** Opens the networks, which are compared with the run's before anything is shown. */
async function startEngine(explorer: Explorer): Promise<void> {
  try {
    explorer.engineStarted(await explorer.backend.start())
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const refused = error instanceof Refused
    explorer.networks.state = 'off'
    explorer.notice = {
      tone: refused ? error.tone : 'warning',
      text: `${refused ? reason : `The decoder could not start: ${reason}`} ${DECODING_OFF}`,
    }
  }
}
