/** The server in the worker's place: it runs networks that are too large for a page. */

import type { Manifest } from '../core/manifest'
import type { FromWorker, Input, Port, ToWorker } from './protocol'

type Run = Extract<ToWorker, { kind: 'run' }>
type Floats = Float32Array<ArrayBuffer>

export class ServerPort implements Port {
  onmessage: Port['onmessage'] = null
  onerror: Port['onerror'] = null
  private open = true

  constructor(private readonly manifest: Manifest) {}

  postMessage(message: ToWorker): void {
    if (message.kind === 'start') this.say({ kind: 'ready' })
    if (message.kind === 'run') void this.run(message)
  }

  terminate(): void {
    this.open = false
  }

  private say(data: FromWorker): void {
    if (this.open) this.onmessage?.({ data } as MessageEvent<FromWorker>)
  }

  private async run(message: Run): Promise<void> {
    const { id, network, inputs } = message
    try {
      const outputs = await (network === 'decoder' ? this.decode(inputs) : this.encode(message))
      this.say({ kind: 'result', id, outputs })
    } catch (error) {
      this.say({ kind: 'failed', id, message: error instanceof Error ? error.message : String(error) })
    }
  }

  private async decode(inputs: Input[]): Promise<Floats[]> {
    const [z, c] = ['z', 'c'].map((name) => inputs.find((input) => input.name === name))
    const body = JSON.stringify({ z: rows(z!), ...(c && { c: rows(c).map(label) }) })
    return [await ask('decode', body, 'application/json')]
  }

  /** Means, then log σ², as many of each as there are images; of anything else, nothing. */
  private async encode({ inputs: [x, c], outputs }: Run): Promise<Floats[]> {
    const path = `codes?class=${c ? label(rows(c)[0]) : 0}`
    const found = await ask(path, x.data, 'application/octet-stream')
    const each = x.shape[0] * this.manifest.model.latent
    return outputs.map((name, n) => (SENT.includes(name) ? found.slice(n * each, (n + 1) * each) : new Float32Array()))
  }
}

const SENT = ['mean', 'log_var']

function rows({ data, shape: [count, width] }: Input): number[][] {
  return Array.from({ length: count }, (_, n) => Array.from(data.subarray(n * width, (n + 1) * width)))
}

/** Which class a row of weights names. */
const label = (weights: number[]): number => weights.indexOf(1)

async function ask(path: string, body: BodyInit, type: string): Promise<Floats> {
  const answer = await fetch(path, { method: 'POST', headers: { 'content-type': type }, body })
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`)
  return new Float32Array(await answer.arrayBuffer())
}
