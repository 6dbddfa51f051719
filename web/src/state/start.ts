/** From a page to an explorer: what must be there at once, then the rest, then the networks. */

import { Originals } from '../core/originals'
import { axes, embedding, identity, line, principal, snapped, type Plane } from '../core/plane'
import { PlaneIndex } from '../core/neighbours'
import { addDetails, loadPoints, type Points } from '../core/points'
import type { DataSource } from '../core/source'
import { Engine, EngineError, selfTest } from '../engine/engine'
import { ServerPort } from '../engine/server'
import NetworkWorker from '../engine/worker?worker&inline'
import { Explorer } from './explorer.svelte'
import { measure } from './measure'
import { trainingOf } from './training.svelte'

/** The explorer with its points; PageError when the page cannot be read. */
export async function begin(source: DataSource): Promise<Explorer> {
  const points = await loadPoints(source)
  const found = await planes(source, points)
  return new Explorer(source, points, found.map((plane) => snapped(plane, points.codebook)))
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
  const engine = startEngine(explorer)
  await addDetails(explorer.points, source)
  explorer.details = true
  explorer.complete()
  await measure(explorer)
  if (source.has('originals') && source.manifest.originals)
    explorer.originals = new Originals(await source.bitmap('originals'), source.manifest)
  explorer.complete()
  await engine
  if (source.manifest.following) trainingOf(explorer).connect()
}

const DECODING_OFF = 'Decoding is off; the map and the images made beforehand still work.'

/** Opens the networks and holds them to the reference images before anything is shown. */
async function startEngine(explorer: Explorer): Promise<void> {
  const { source, manifest } = explorer
  const off = (tone: 'warning' | 'error', text: string): void => {
    explorer.engineState = 'off'
    explorer.notice = { tone, text: `${text} ${DECODING_OFF}` }
  }
  if (typeof WebAssembly === 'undefined')
    return off('warning', 'This browser has WebAssembly switched off, which runs the decoder.')
  try {
    const port = source.served ? new ServerPort(manifest) : new NetworkWorker()
    const engine = new Engine(manifest, port)
    await engine.start(source)
    const worst = await selfTest(engine, source)
    if (worst <= manifest.selftest.tolerance) return explorer.engineStarted(engine)
    engine.stop(new EngineError('self-test'))
    off('error', `The decoder in this page gives other images than the run did (by ${worst.toPrecision(2)}).`)
  } catch (error) {
    off('warning', `The decoder could not start: ${error instanceof Error ? error.message : String(error)}`)
  }
}
