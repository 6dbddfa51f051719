/** What the page and the worker that runs the networks say to each other. */

export interface Networks {
  wasm: Uint8Array<ArrayBuffer>
  decoder: Uint8Array<ArrayBuffer>
  encoder: Uint8Array<ArrayBuffer> | null
}

/** One named input of a network: float32 numbers and their shape. */
export interface Input {
  name: string
  data: Float32Array<ArrayBuffer>
  shape: number[]
}

export type ToWorker =
  | { kind: 'start'; networks: Networks }
  | { kind: 'run'; id: number; network: 'decoder' | 'encoder'; inputs: Input[]; outputs: string[] }

export type FromWorker =
  | { kind: 'ready' }
  | { kind: 'result'; id: number; outputs: Float32Array<ArrayBuffer>[] }
  | { kind: 'failed'; id: number | null; message: string }

/** The part of a Worker the engine needs: tests put their own in its place. */
export interface Port {
  postMessage(message: ToWorker, transfer: Transferable[]): void
  onmessage: ((event: MessageEvent<FromWorker>) => void) | null
  onerror: ((event: ErrorEvent) => void) | null
  terminate(): void
}
