/** Runs the networks, one call after the other, away from the page's own thread. */

import * as ort from 'onnxruntime-web'
import { completed, unpack } from '../core/unpack'
import type { FromWorker, Input, Networks, ToWorker } from './protocol'

const sessions: Record<string, ort.InferenceSession> = {}
/** Opens the encoder, once, when it is asked for: by Bayes' rule it decodes its grid points then. */
let encoder: () => Promise<ort.InferenceSession>
/** Networks that are given their weights, and the weights they are given. */
const parametric: Record<string, ort.InferenceSession> = {}
const bound: Record<string, Record<string, ort.Tensor> | null> = {}
const OPTIONS: ort.InferenceSession.SessionOptions = {
  executionProviders: ['wasm'],
  graphOptimizationLevel: 'all',
}

const say = (message: FromWorker, transfer: Transferable[] = []): void =>
  self.postMessage(message, { transfer })

/** Unpacks and opens the networks; the bytes come from the page, so nothing is fetched. */
async function start({ wasm, decoder, encoder: packed }: Networks): Promise<void> {
  ort.env.wasm.wasmBinary = (await unpack(wasm)).buffer
  ort.env.wasm.numThreads = 1
  ort.env.logLevel = 'error'
  const decoding = decoder && (await unpack(decoder))
  if (decoding) sessions.decoder = await ort.InferenceSession.create(decoding, OPTIONS)
  if (packed) {
    const encoding = completed(await unpack(packed), packed.entry.shared, decoding)
    let opened: Promise<ort.InferenceSession> | null = null
    encoder = () => (opened ??= ort.InferenceSession.create(encoding, OPTIONS))
  }
  say({ kind: 'ready' })
}

async function openParametric({ network, model }: Extract<ToWorker, { kind: 'open' }>): Promise<void> {
  try {
    parametric[network] = await ort.InferenceSession.create(model, OPTIONS)
    say({ kind: 'opened', network })
  } catch (error) {
    say({ kind: 'opened', network, problem: reason(error) })
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const tensor = ({ data, shape }: Input): ort.Tensor => new ort.Tensor('float32', data, shape)

/** Numbers of any kind as float32: indices come as 64-bit integers. */
const floats = (data: ort.Tensor.DataType): Float32Array<ArrayBuffer> =>
  data instanceof BigInt64Array ? Float32Array.from(data, Number) : new Float32Array(data as Float32Array)

const named = (inputs: Input[]): Record<string, ort.Tensor> =>
  Object.fromEntries(inputs.map((input) => [input.name, tensor(input)]))

async function run(message: Extract<ToWorker, { kind: 'run' }>): Promise<void> {
  const weights = bound[message.network]
  const own = async () => (message.network === 'encoder' ? encoder() : sessions[message.network])
  const session = weights ? parametric[message.network] : await own()
  const results = await session.run({ ...named(message.inputs), ...weights }, message.outputs)
  const outputs = message.outputs.map((name) => floats(results[name].data))
  say({ kind: 'result', id: message.id, outputs }, outputs.map((output) => output.buffer))
}

self.onmessage = async ({ data }: MessageEvent<ToWorker>): Promise<void> => {
  try {
    if (data.kind === 'start') await start(data.networks!)
    else if (data.kind === 'open') await openParametric(data)
    else if (data.kind === 'bind') bound[data.network] = data.weights && named(data.weights)
    else await run(data)
  } catch (error) {
    const id = data.kind === 'run' ? data.id : null
    say({ kind: 'failed', id, message: reason(error) })
  }
}
