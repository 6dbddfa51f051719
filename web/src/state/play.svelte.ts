/** A training that is watched and changed: what the last frame said, and the commands. */

import type { About, Frame, Knob, Knobs, Terms } from '../engine/frames'
import type { Explorer } from './explorer.svelte'
import { oneOf } from './lasting.svelte'
import { measure } from './measure'

/** What the points take to their next places: about as long as the next frame. */
const PACE = 180
/** Points of the trail, at most. */
const TRAIL = 600
/** How much wider the codes may get before the map shows all of them anew. */
const WIDER = 1.25
/** Between two looks at how lonely images are. */
const MEASURED = 2000

/** Where the training was: its two terms, and what led there. */
export interface Stop extends Terms {
  step: number
  beta: number
}

export class Playing {
  about = $state.raw<About | null>(null)
  /** Held-out terms, oldest first: reconstruction against KL. */
  trail = $state.raw<readonly Stop[]>([])
  /** What the knobs are asked to be, until a frame says so. */
  asked = $state.raw<Partial<Knobs>>({})
  keeping = $state(false)
  kept = $state('')
  problem = $state('')
  /** Frames heard. */
  frames = $state(0)
  private pending: Frame | null = null
  private busy = false
  private width = 0
  private measured = 0
  private sending: Partial<Knobs> | null = null

  constructor(private readonly explorer: Explorer) {}

  private get link() {
    return this.explorer.backend.play!
  }

  get limits() {
    return this.link.entry.limits
  }

  get source(): string {
    return this.link.note ?? ''
  }

  /** Whether runs can be kept. */
  get keeps(): boolean {
    return this.link.keep !== null
  }

  /** Whether there is every knob that is turned so, and it reaches so far. */
  offers(knobs: Partial<Record<Knob, number>>): boolean {
    const { entry } = this.link
    return Object.keys(knobs).every((knob) => knob in entry.knobs) && (knobs.images ?? 0) <= entry.limits.images[1]
  }

  connect(): void {
    this.explorer.planes.pace = PACE
    this.link.heard = (frame) => {
      this.pending = frame
      void this.catchUp()
    }
    this.link.ended = (why) => {
      this.problem = why
    }
  }

  /** Shows the newest frame, and then a newer one if there is. */
  private async catchUp(): Promise<void> {
    if (this.busy) return
    this.busy = true
    try {
      while (this.pending) {
        const frame = this.pending
        this.pending = null
        await this.show(frame)
      }
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error)
    } finally {
      this.busy = false
    }
  }

  private async show(frame: Frame): Promise<void> {
    const { explorer, link } = this
    const { about } = frame
    if (about.page !== link.entry.page) return location.reload()
    const { engine } = explorer.networks
    if (engine) await link.bind(engine, frame)
    explorer.learn(frame.latents, frame.logVars)
    this.fit()
    this.note(about)
    this.about = about
    this.frames++
    if (performance.now() - this.measured > MEASURED) {
      this.measured = performance.now()
      void measure(explorer)
    }
  }

  /** Keeps all points in sight, as long as the person has not moved the map. */
  private fit(): void {
    const { x, y } = this.explorer.planes.home
    const width = Math.max(x[1] - x[0], y[1] - y[0])
    if (width < this.width * WIDER && width > this.width / WIDER ** 2) return
    this.width = width
    this.explorer.viewport.refit(PACE)
  }

  private note({ step, held_out: terms, knobs }: About): void {
    this.asked = Object.fromEntries(Object.entries(this.asked).filter(([knob, value]) => knobs[knob as Knob] !== value))
    const last = this.trail.at(-1)
    const begun = last && step < last.step ? [] : this.trail
    if (!terms || (last && last.reconstruction === terms.reconstruction && last.kl === terms.kl)) this.trail = begun
    else this.trail = [...begun, { ...terms, step, beta: knobs.beta }].slice(-TRAIL)
  }

  // -- commands -----------------------------------------------------------------------------------

  private async say(command: Parameters<typeof this.link.say>[0]): Promise<void> {
    this.problem = (await this.link.say(command)) ?? ''
  }

  toggle(): void {
    void this.say({ running: !this.about?.running })
  }

  step(): void {
    void this.say({ running: false, steps: 1 })
  }

  slow(slow: boolean): void {
    void this.say({ slow })
  }

  again(fresh: boolean): void {
    const seed = Math.floor(Math.random() * 2 ** 31)
    this.kept = ''
    void this.say({ running: true, again: true, ...(fresh && { knobs: { seed } }) })
  }

  /** Starts again with the recipe's knobs but for some. */
  begin(knobs: Partial<Record<Knob, number>>): void {
    this.kept = ''
    void this.say({ running: true, slow: false, again: true, knobs: { ...this.link.entry.knobs, ...knobs } })
  }

  /** Turns knobs: at most one request is under way, and the newest values go next. */
  turn(knobs: Partial<Record<Knob, number>>): void {
    this.asked = { ...this.asked, ...knobs }
    const first = this.sending === null
    this.sending = { ...this.sending, ...knobs }
    if (first) void this.send()
  }

  private async send(): Promise<void> {
    while (this.sending && Object.keys(this.sending).length) {
      const knobs = this.sending
      this.sending = {}
      await this.say({ knobs })
    }
    this.sending = null
  }

  /** What a knob shows: what it is asked to be, or is. */
  value(knob: Knob): number | null {
    return this.asked[knob] ?? this.about?.knobs[knob] ?? null
  }

  async keep(name: string): Promise<void> {
    this.keeping = true
    this.kept = this.problem = ''
    const answer = await this.link.keep!(name)
    this.keeping = false
    if (typeof answer === 'string') this.problem = answer
    else {
      this.kept = answer.path
      this.explorer.announce(`Kept in ${answer.path}.`)
    }
  }
}

/** The explorer's one training that is played with: it outlives the panel that shows it. */
export const playOf = oneOf((explorer) => new Playing(explorer))
