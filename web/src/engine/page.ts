/** The page alone: its networks run in a worker, and it keeps regions in the browser. */

import type { DataSource } from '../core/source'
import { recall, remember } from '../core/storage'
import type { All, Backend, Train } from './backend'
import { Engine, EngineError, selfTest, type Encoded, type Floats, type Told } from './engine'
import type { Play } from './frames'
import type { Port } from './protocol'

export class PageBackend implements Backend {
  readonly sealed: boolean = true
  readonly pictured: boolean = false
  readonly train: Train | null = null
  readonly play: Play | null = null
  readonly all: All | null = null
  protected engine: Engine | null = null

  constructor(
    readonly source: DataSource,
    private readonly worker: () => Port,
  ) {}

  get encodes(): boolean {
    return this.source.has('encoder')
  }

  protected port(): Port {
    if (typeof WebAssembly === 'undefined')
      throw new Refused('warning', 'This browser has WebAssembly switched off, which runs the decoder.')
    return this.worker()
  }

  async start(): Promise<Engine> {
    const { manifest } = this.source
    const engine = new Engine(manifest, this.port())
    await engine.start(this.source)
    const worst = await selfTest(engine, this.source)
    if (worst > manifest.selftest.tolerance) {
      engine.stop(new EngineError('self-test'))
      throw new Refused(
        'error',
        `The decoder in this page gives other images than the run did (by ${worst.toPrecision(2)}).`,
      )
    }
    return (this.engine = engine)
  }

  private get running(): Engine {
    if (this.engine) return this.engine
    throw new EngineError('The decoder is not running.')
  }

  decode = async (z: Float32Array, told?: Told): Promise<Floats> => this.running.decode(z, told)
  encode = async (x: Float32Array, told?: Told): Promise<Encoded> => this.running.encode(x, told)
  original = async (_index: number): Promise<Float32Array | null> => null
  geodesic = async (
    _a: Float32Array,
    _b: Float32Array,
    _steps: number,
    _weight: number,
  ): Promise<Float32Array | null> => null

  regions = async (): Promise<unknown> => recall(this.key)

  async keep(regions: readonly unknown[]): Promise<boolean> {
    remember(this.key, regions)
    return true
  }

  private get key(): string {
    const { run, created } = this.source.manifest
    return `vaescape regions ${run} ${created}`
  }
}

/** Why there is no decoding, in a sentence for the reader. */
export class Refused extends EngineError {
  constructor(
    readonly tone: 'warning' | 'error',
    message: string,
  ) {
    super(message)
  }
}
