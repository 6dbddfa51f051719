/** The training behind `vaescape play`, on a server. */

import type { PlayEntry } from '../core/manifest'
import type { DataSource } from '../core/source'
import type { Backend } from './backend'
import { Engine } from './engine'
import { Messages, readFrame, type Command, type Frame, type Kept, type Play } from './frames'
import { PageBackend } from './page'
import type { Port } from './protocol'

class ServerPlay implements Play {
  heard: (frame: Frame) => void = () => {}
  ended: (why: string) => void = () => {}
  private bound = ''

  constructor(readonly entry: PlayEntry) {}

  open(): Promise<Frame> {
    return new Promise((first, failed) => {
      this.watch((frame) => {
        first(frame)
        this.heard(frame)
      })
        .catch(failed)
        .finally(() => this.ended('The training has ended: its server does not answer any longer.'))
    })
  }

  private async watch(heard: (frame: Frame) => void): Promise<void> {
    const answer = await fetch('frames')
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`)
    const reader = answer.body!.getReader()
    const messages = new Messages()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const [newest] = [...messages.add(value)].slice(-1)
      if (newest) heard(readFrame(newest))
    }
  }

  async bind(engine: Engine, { network, weights }: Frame): Promise<void> {
    if (network !== this.bound) {
      await engine.openParametric('decoder', await this.network(network))
      this.bound = network
    }
    engine.bind('decoder', weights)
  }

  async say(command: Command): Promise<string | null> {
    return problem(await post('command', command))
  }

  readonly keep = async (name: string): Promise<Kept | string> => {
    const answer = await post('keep', name ? { name } : {})
    return (await problem(answer)) ?? ((await answer!.json()) as Kept)
  }

  private async network(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const answer = await fetch(`network/${encodeURIComponent(name)}`)
    if (!answer.ok) throw new Error(`The server answered ${answer.status} for the decoder.`)
    return new Uint8Array(await answer.arrayBuffer())
  }
}

const post = (path: string, value: unknown): Promise<Response | null> =>
  fetch(path, { method: 'POST', body: JSON.stringify(value), headers: { 'content-type': 'application/json' } }).catch(
    () => null,
  )

async function problem(answer: Response | null): Promise<string | null> {
  if (answer?.ok) return null
  if (!answer) return 'The server does not answer.'
  return ((await answer.json()) as { error: string }).error
}

/** A page whose decoder comes with the frames. */
export class PlayBackend extends PageBackend implements Backend {
  constructor(
    source: DataSource,
    worker: () => Port,
    override readonly play: Play = new ServerPlay(source.manifest.play!),
    override readonly sealed = false,
  ) {
    super(source, worker)
  }

  /** Starts the worker, and decodes as the first frame says. */
  override async start(): Promise<Engine> {
    const first = this.play.open()
    const engine = (this.engine = new Engine(this.source.manifest, this.port()))
    await engine.start(this.source, true)
    await this.play.bind(engine, await first)
    return engine
  }

  close(): void {
    this.play.close?.()
    this.engine?.close()
  }
}
