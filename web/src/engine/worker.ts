/** Runs the networks, one call after the other, away from the page's own thread. */

import * as ort from 'onnxruntime-web'
import type { FromWorker, Input, Networks, ToWorker } from './protocol'

const sessions: Record<string, ort.InferenceSession> = {}

const say = (message: FromWorker, transfer: Transferable[] = []): void =>
  self.postMessage(message, { transfer })

/** Opens the networks; the bytes come from the page, so nothing is fetched. */
async function start({ wasm, decoder, encoder }: Networks): Promise<void> {
  ort.env.wasm.wasmBinary = wasm.buffer
  ort.env.wasm.numThreads = 1
  ort.env.logLevel = 'error'
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  }
  sessions.decoder = await ort.InferenceSession.create(decoder, options)
  if (encoder) sessions.encoder = await ort.InferenceSession.create(encoder, options)
  say({ kind: 'ready' })
}

const tensor = ({ data, shape }: Input): ort.Tensor => new ort.Tensor('float32', data, shape)

async function run(message: Extract<ToWorker, { kind: 'run' }>): Promise<void> {
  const feeds = Object.fromEntries(message.inputs.map((input) => [input.name, tensor(input)]))
  const results = await sessions[message.network].run(feeds, message.outputs)
  const outputs = message.outputs.map((name) => new Float32Array(results[name].data as Float32Array))
  say({ kind: 'result', id: message.id, outputs }, outputs.map((output) => output.buffer))
}

self.onmessage = async ({ data }: MessageEvent<ToWorker>): Promise<void> => {
  try {
    await (data.kind === 'start' ? start(data.networks) : run(data))
  } catch (error) {
    const id = data.kind === 'run' ? data.id : null
    say({ kind: 'failed', id, message: error instanceof Error ? error.message : String(error) })
  }
}
