/** A training in the page itself: every step is one call of an ONNX graph, in a worker of its own. */

import { Batches, beginning, noise } from '../core/batches'
import type { PlayEntry, Trainable } from '../core/manifest'
import { uniforms } from '../core/seeded'
import type { DataSource } from '../core/source'
import { whole } from '../core/words'
import type { Engine, Floats } from './engine'
import type { Command, Frame, Knobs, Play, Terms } from './frames'
import type { Input } from './protocol'

/** Milliseconds between two frames, at least; and at least so many times what the last one took. */
const [GAP, SPARSE] = [60, 4]
/** Milliseconds of a step in slow motion. */
const SLOW = 500

/** The images of a training, as rows of pixels. */
export interface Pictures {
  trained: Uint8Array
  held: Floats
  /** Numbers of an image. */
  size: number
}

export class PagePlay implements Play {
  heard: (frame: Frame) => void = () => {}
  ended: (why: string) => void = () => {}
  readonly keep = null
  readonly entry: PlayEntry
  readonly note: string
  private readonly count: number
  private knobs: Knobs
  private running = true
  private slow = false
  private wanted = 0
  private again = false
  private news = true
  private step = 0
  private state: Floats = new Float32Array()
  private random = uniforms(0)
  private batches = new Batches(1, 1, this.random)
  private terms: Terms[] = []
  private problem = ''
  private due = 0
  private wake = (): void => {}
  private readonly looked = (): void => this.wake()
  private first: Promise<Frame> | null = null
  private opened: Promise<void> | null = null

  /** Takes an engine of its own, which has not started. */
  constructor(
    private readonly trainable: Trainable,
    private readonly latent: number,
    private readonly pictures: Pictures,
    private readonly engine: Engine,
    private readonly source: DataSource,
  ) {
    const { size } = pictures
    const [trained, held] = [pictures.trained.length / size, pictures.held.length / size]
    this.count = trained
    this.knobs = { ...trainable.knobs, images: trained }
    this.entry = { page: 0, knobs: { ...this.knobs } as Record<string, number>, limits: { images: [2, trained] } }
    this.note =
      `Trained on the images in this page: ${whole(trained)} to train on, ${whole(held)} held out. ` +
      'The points on the map are those held out. The page carries its images compressed, so the numbers are not those of the run.'
  }

  /** Opens the graphs; the untrained model as the first frame. */
  async prepare(): Promise<Frame> {
    const { engine, pictures, source } = this
    await engine.start(source, true)
    for (const network of ['step', 'look'] as const)
      await engine.openParametric(network, await source.bytes(`train_${network}`))
    const { held, size } = pictures
    const count = held.length / size
    engine.bind('step', [])
    engine.bind('look', [
      { name: 'x', data: held, shape: [count, size] },
      { name: 'noise', data: noise(count, this.latent, uniforms(0)), shape: [count, 1 + this.latent] },
    ])
    this.begin()
    return (this.first = this.frame())
  }

  async open(): Promise<Frame> {
    const first = await (this.first ?? this.prepare())
    this.heard(first)
    document.addEventListener('visibilitychange', this.looked)
    this.train().catch((error: unknown) =>
      this.ended(`The training has ended: ${error instanceof Error ? error.message : String(error)}`),
    )
    return first
  }

  /** Decodes as the frame says from now on. */
  async bind(engine: Engine, { weights }: Frame): Promise<void> {
    await (this.opened ??= this.source.bytes('train_decoder').then((model) => engine.openParametric('decoder', model)))
    engine.bind('decoder', weights)
  }

  async say({ running, slow, steps, again, knobs }: Command): Promise<null> {
    const { seed, images } = this.knobs
    this.knobs = { ...this.knobs, ...knobs }
    this.again ||= again || this.knobs.seed !== seed || this.knobs.images !== images
    this.running = running ?? this.running
    this.slow = slow ?? this.slow
    this.wanted += steps ?? 0
    this.news = true
    this.wake()
    return null
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.looked)
    this.engine.close()
  }

  // -- training -----------------------------------------------------------------------------------

  private begin(): void {
    const { trainable, knobs } = this
    const images = knobs.images ?? this.count
    this.random = uniforms(knobs.seed)
    this.state = beginning(trainable.start, this.mean(images), this.random)
    this.batches = new Batches(images, trainable.batch, this.random)
    this.terms = []
    this.again = false
    this.step = this.due = 0
    this.problem = ''
  }

  private mean(images: number): Float32Array {
    const { trained, size } = this.pictures
    const sum = new Float32Array(size)
    for (let n = 0; n < images; n++) for (let i = 0; i < size; i++) sum[i] += trained[n * size + i]
    return sum.map((value) => value / (255 * images))
  }

  /** Trains as long as the page is there. */
  private async train(): Promise<never> {
    for (;;) {
      if (this.again) this.begin()
      const goes = (this.running || this.wanted > 0) && !document.hidden
      if (goes) await this.advance()
      if (this.news || performance.now() >= this.due) await this.show()
      if (!goes) await this.asleep(() => document.hidden || !(this.running || this.wanted || this.news))
      else if (this.slow && !this.wanted) await new Promise((resolve) => setTimeout(resolve, SLOW))
    }
  }

  /** Waits for a command or the return of the person while there is nothing to do. */
  private async asleep(idle: () => boolean): Promise<void> {
    while (idle()) await new Promise<void>((resolve) => (this.wake = resolve))
  }

  private async advance(): Promise<void> {
    const { trainable, knobs, latent } = this
    const { batch } = trainable
    const settings = Float32Array.of(knobs.beta, knobs.lr, this.step)
    const [state, [reconstruction, kl]] = await this.engine.run('step', [
      { name: 'x', data: this.rows(this.batches.next()), shape: [batch, this.pictures.size] },
      { name: 'noise', data: noise(batch, latent, this.random), shape: [batch, 1 + latent] },
      vector('settings', settings),
      vector('state', this.state),
    ], ['next', 'terms'])
    this.state = state
    this.step++
    if (this.wanted) this.wanted--
    this.terms.push({ reconstruction, kl })
    if (Number.isFinite(reconstruction + kl)) return
    this.problem = 'The training diverged. Start again with a lower rate.'
    this.running = false
    this.news = true
  }

  /** Training images in [0, 1]. */
  private rows(rows: Uint32Array): Floats {
    const { trained, size } = this.pictures
    const values = new Float32Array(rows.length * size)
    rows.forEach((row, n) => {
      for (let i = 0; i < size; i++) values[n * size + i] = trained[row * size + i] / 255
    })
    return values
  }

  private async show(): Promise<void> {
    this.news = false
    const began = performance.now()
    const frame = await this.frame()
    const now = performance.now()
    this.due = now + Math.max(GAP, SPARSE * (now - began))
    this.heard(frame)
  }

  private async frame(): Promise<Frame> {
    const { knobs, step, running, slow, problem, terms } = this
    const weights = this.state.slice(0, this.trainable.weights)
    const [latents, [reconstruction, kl]] = await this.engine.run('look', [
      vector('beta', Float32Array.of(knobs.beta)),
      vector('weights', weights.slice()),
    ], ['z', 'terms'])
    this.terms = []
    const about = {
      page: this.entry.page,
      step,
      epoch: (step * this.trainable.batch) / (knobs.images ?? this.count),
      running,
      slow,
      knobs,
      train: mean(terms),
      held_out: finite({ reconstruction, kl }),
      problem,
    }
    const codes = latents.map((value) => (Number.isFinite(value) ? value : 0))
    return { about, network: 'decoder', weights: [vector('weights', weights)], latents: codes, logVars: null }
  }
}

const vector = (name: string, data: Floats): Input => ({ name, data, shape: [data.length] })

const finite = (terms: Terms): Terms | null => (Number.isFinite(terms.reconstruction + terms.kl) ? terms : null)

function mean(terms: Terms[]): Terms | null {
  const of = (name: keyof Terms): number => terms.reduce((sum, each) => sum + each[name], 0) / terms.length
  return finite({ reconstruction: of('reconstruction'), kl: of('kl') })
}
