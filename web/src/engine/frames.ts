/** A training that is watched and changed while it goes on: frames come, commands go. */

import { halves } from '../core/half'
import type { PlayEntry, Range, WeightShapes } from '../core/manifest'
import { dequantise } from '../core/unpack'
import { cutWeights, sizeOf, type Weight } from '../core/weights'
import type { Engine } from './engine'

export type Knob = 'beta' | 'lr' | 'seed' | 'images' | 'latent' | 'width' | 'scale'
export type Knobs = Partial<Record<Knob, number>> & { beta: number; lr: number; seed: number }

/** Reconstruction and KL, in nats per image. */
export interface Terms {
  reconstruction: number
  kl: number
}

/** What is said of the training with every frame. */
export interface About {
  /** The number of the page that these codes belong to. */
  page: number
  step: number
  epoch: number
  running: boolean
  slow: boolean
  knobs: Knobs
  /** Means over the training steps since the last frame. */
  train: Terms | null
  held_out: Terms | null
  problem: string
}

/** What comes with a frame from a server besides: which decoder takes the weights, and how the numbers are laid. */
interface Header extends About {
  network: string
  weights: WeightShapes
  count: number
  scale: Range[]
  log_var: boolean
}

export interface Frame {
  about: About
  network: string
  weights: Weight[]
  latents: Float32Array
  logVars: Float32Array | null
}

export interface Command {
  running?: boolean
  slow?: boolean
  steps?: 1
  again?: boolean
  knobs?: Partial<Record<Knob, number>>
}

export interface Kept {
  path: string
  steps: number
}

/** The frame in a message without its length: the header's length, the header, and numbers. */
export function readFrame(bytes: Uint8Array<ArrayBuffer>): Frame {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  const about = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as Header
  const numbers = bytes.slice(4 + length).buffer
  let from = 0
  const take = (count: number): Uint16Array => {
    const taken = new Uint16Array(numbers.slice(from, from + 2 * count))
    from += 2 * count
    return taken
  }
  const codes = about.count * about.scale.length
  const weights = cutWeights(halves(take(sizeOf(about.weights))), about.weights)
  const latents = dequantise(take(codes), about.scale)
  return { about, network: about.network, weights, latents, logVars: about.log_var ? halves(take(codes)) : null }
}

/** Whole messages in a stream of bytes that comes in pieces of any size: each begins with its length. */
export class Messages {
  private pieces: Uint8Array[] = []
  private size = 0

  /** How many bytes the first message takes, as far as its first piece tells. */
  private wanted(): number {
    const [first] = this.pieces
    return first.length < 4 ? 0 : 4 + new DataView(first.buffer, first.byteOffset).getUint32(0, true)
  }

  /** Takes a piece; the messages that it completes. */
  *add(piece: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
    this.pieces.push(piece)
    this.size += piece.length
    while (this.size >= 4) {
      if (this.pieces.length > 1 && this.size < this.wanted()) return
      const all = this.joined()
      const end = 4 + new DataView(all.buffer, all.byteOffset).getUint32(0, true)
      if (all.length < end) return
      this.pieces = [all.subarray(end)]
      this.size = all.length - end
      yield all.slice(4, end)
    }
  }

  private joined(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.size)
    let at = 0
    for (const piece of this.pieces) {
      all.set(piece, at)
      at += piece.length
    }
    this.pieces = [all]
    return all
  }
}

/** What the page can ask of a training. */
export interface Play {
  readonly entry: PlayEntry
  /** What it learns from, where that is not the run's own data. */
  readonly note?: string
  /** Hears every frame; and why there will be no more. */
  heard: (frame: Frame) => void
  ended: (why: string) => void
  /** Begins; resolves with the first frame. */
  open(): Promise<Frame>
  /** Decodes as the frame says from now on. */
  bind(engine: Engine, frame: Frame): Promise<void>
  /** Gives a command; the error's text where it is refused. */
  say(command: Command): Promise<string | null>
  /** Writes a run folder that leads to the present state; null where there is nowhere to write. */
  readonly keep: ((name: string) => Promise<Kept | string>) | null
  /** Ends it, where it ends with the page's wish. */
  close?(): void
}
