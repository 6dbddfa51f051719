/** A run in training, followed: its log, and its networks and codes at each new checkpoint. */

import { readCheckpoint } from '../core/weights'
import type { Row, Train } from '../engine/backend'
import type { Explorer } from './explorer.svelte'
import { measure } from './measure'
import { oneOf } from './lasting.svelte'

const NETWORKS = ['decoder', 'encoder'] as const

export class Training {
  rows = $state.raw<readonly Row[]>([])
  /** The step of the checkpoint that is shown; null: the one the page came with. */
  shown = $state<number | null>(null)
  /** The step of the newest checkpoint there is. */
  newest = $state<number | null>(null)
  following = $state(true)
  ended = $state(false)
  private busy = false
  private opened: Promise<void> | null = null

  private readonly train: Train

  constructor(private readonly explorer: Explorer) {
    this.train = explorer.backend.train!
  }

  /** Listens until the training ends. */
  connect(): void {
    this.train.listen({
      logged: (row) => this.log(row),
      saved: (step) => {
        this.newest = step
        void this.catchUp()
      },
      ended: () => (this.ended = true),
      lost: () => this.lose(),
    })
  }

  /** Keeps each step's row once: a connection that was lost begins anew. */
  private log(row: Row): void {
    this.rows = [...this.rows.filter(({ step }) => step < row.step), row]
  }

  /** Shows the newest checkpoint, if that is wanted and not under way. */
  async catchUp(): Promise<void> {
    if (this.busy || !this.following || this.newest === null) return
    this.busy = true
    try {
      while (this.following && this.shown !== this.newest) await this.take()
    } finally {
      this.busy = false
    }
  }

  private async take(): Promise<void> {
    const { explorer, newest } = this
    const answer = await this.train.newest()
    if (!answer) return this.lose()
    const { step, numbers } = answer
    const { manifest, points } = explorer
    const networks = NETWORKS.filter((name) => manifest.following?.[name])
    const shapes = networks.map((name) => manifest.following![name]!)
    const { weights, latents, logVars } = readCheckpoint(numbers, shapes, points.count * points.D)
    await (this.opened ??= this.open(networks))
    networks.forEach((name, i) => explorer.networks.engine?.bind(name, weights[i]))
    explorer.learn(latents, logVars)
    this.shown = step
    if (newest === this.newest) this.newest = step
    await measure(explorer)
  }

  private lose(): void {
    this.following = false
    const text = 'The training cannot be followed any longer: its server does not answer.'
    this.explorer.notice = { tone: 'warning', text }
  }

  /** Opens the networks that are given their weights. */
  private async open(networks: (typeof NETWORKS)[number][]): Promise<void> {
    const { source } = this.explorer
    const { engine } = this.explorer.networks
    for (const name of networks) await engine?.openParametric(name, await source.bytes(`parametric_${name}`))
  }
}

/** The explorer's one training: it outlives the panel that shows it. */
export const trainingOf = oneOf((explorer) => new Training(explorer))
