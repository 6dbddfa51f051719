/** What the page and the worker that runs the networks say to each other. */

import type { Parcel } from '../core/unpack'

/** Still packed: unpacking them would keep the page from its first frames. */
export interface Networks {
  wasm: Parcel
  decoder: Parcel | null
  encoder: Parcel | null
}

/** One named input of a network: float32 numbers and their shape. */
export interface Input {
  name: string
  data: Float32Array<ArrayBuffer>
  shape: number[]
}

/** `step` and `look` are those of a training in the page. */
export type Network = 'decoder' | 'encoder' | 'step' | 'look'

export type ToWorker =
  | { kind: 'start'; networks: Networks | null }
  /** Opens a network that is given its weights. */
  | { kind: 'open'; network: Network; model: Uint8Array<ArrayBuffer> }
  /** Runs the parametric network with these weights from now on; null: the run's own again. */
  | { kind: 'bind'; network: Network; weights: Input[] | null }
  | { kind: 'run'; id: number; network: Network; inputs: Input[]; outputs: string[] }

export type FromWorker =
  | { kind: 'ready' }
  | { kind: 'opened'; network: Network; problem?: string }
  | { kind: 'result'; id: number; outputs: Float32Array<ArrayBuffer>[] }
  | { kind: 'failed'; id: number | null; message: string }

/** The part of a Worker the engine needs: tests put their own in its place. */
export interface Port {
  postMessage(message: ToWorker, transfer: Transferable[]): void
  onmessage: ((event: MessageEvent<FromWorker>) => void) | null
  onerror: ((event: ErrorEvent) => void) | null
  terminate(): void
}
