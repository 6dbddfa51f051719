/** From the page of a saved run to a training in the same page, which has an explorer of its own. */

import { MOST, split } from '../core/batches'
import type { Manifest } from '../core/manifest'
import type { Originals } from '../core/originals'
import { DataSource } from '../core/source'
import type { Parcel } from '../core/unpack'
import { openTraining } from '../engine/open'
import type { Pictures } from '../engine/train'
import type { Explorer } from './explorer.svelte'
import { begin } from './start'

const COLUMNS = 32

/** How many of a page's images are trained on, and how many are held out. */
export function sizes({ originals }: Manifest): { trained: number; held: number } {
  const count = Math.min(MOST, originals?.count ?? 0)
  const held = Math.floor(count / 10)
  return { trained: count - held, held }
}

/** An explorer of a training that begins; `back` leads to the saved run. */
export async function trainHere(saved: Explorer, back: () => void): Promise<Explorer> {
  const { manifest, source, networks, points } = saved
  const originals = networks.originals!
  const from = originals.count - Math.min(MOST, originals.count)
  const { trained, held } = split(originals.count - from)
  const shown = Array.from(held, (row) => originals.first + from + row)
  const backend = await openTraining(source, pictures(originals, from, trained, held), ({ latents }, { entry }) => {
    const labels = points.labels && Uint16Array.from(shown, (index) => points.labels![index])
    return new HeldOut(described(manifest, shown.length, entry), source, latents, labels, atlas(originals, shown))
  })
  const made = await begin(backend)
  made.leave = () => {
    backend.close()
    back()
  }
  return made
}

function pictures(originals: Originals, from: number, trained: Uint32Array, held: Uint32Array): Pictures {
  const bytes = originals.bytes()
  const size = bytes.length / originals.count
  const taken = (rows: Uint32Array): Uint8Array<ArrayBuffer> => {
    const found = new Uint8Array(rows.length * size)
    rows.forEach((row, n) => found.set(bytes.subarray((from + row) * size, (from + row + 1) * size), n * size))
    return found
  }
  return { trained: taken(trained), held: Float32Array.from(taken(held), (value) => value / 255), size }
}

/** The images in one picture, in this order. */
function atlas(originals: Originals, shown: readonly number[]): ImageBitmap {
  const { width, height } = originals
  const canvas = new OffscreenCanvas(COLUMNS * width, Math.ceil(shown.length / COLUMNS) * height)
  const context = canvas.getContext('2d')!
  shown.forEach((index, n) => {
    originals.draw(context, index, (n % COLUMNS) * width, Math.floor(n / COLUMNS) * height, width, height)
  })
  return canvas.transferToImageBitmap()
}

/** What the page says of a training: only the images that are held out, and nothing that was measured on the run. */
function described(saved: Manifest, count: number, play: Manifest['play']): Manifest {
  const { schema, version, created, colours, selftest, data, model, run, blobs } = saved
  const { points, knobs } = saved.trainable!
  const kept = ['latents', 'labels', 'originals'].filter((name) => name in blobs)
  return {
    schema,
    version,
    created,
    colours,
    selftest,
    live: false,
    title: `${data.title}: ${model.recipe} in training in this page`,
    run: `${run} in training`,
    data: { ...data, train: 0, test: count, split: 'held-out' },
    model: { ...model, kl_per_dimension: null, grid: { points, beta: knobs.beta } },
    figures: [],
    remarks: [],
    percentiles: [],
    field: null,
    originals: { first: 0, count, columns: COLUMNS },
    play,
    blobs: Object.fromEntries(kept.map((name) => [name, blobs[name]])),
  }
}

/** The images that are held out, of the page's own. */
class HeldOut extends DataSource {
  constructor(
    manifest: Manifest,
    private readonly page: DataSource,
    private readonly latents: Float32Array,
    private readonly labels: Uint16Array | null,
    private readonly picture: ImageBitmap,
  ) {
    super(manifest)
  }

  parcel(name: string): Promise<Parcel> {
    return this.page.parcel(name)
  }

  whole(): Promise<void> {
    return this.page.whole()
  }

  override floats = async (): Promise<Float32Array> => this.latents.slice()
  override integers = async (): Promise<Uint16Array> => this.labels!
  override bitmap = async (): Promise<ImageBitmap> => this.picture
}
