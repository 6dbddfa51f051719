/** What is decoded next: the pointer's image first, then what was asked for, tiles last. */

export interface Job {
  /** Latent codes, one after the other. */
  z: Float32Array
  count: number
  done: (images: Float32Array<ArrayBuffer>) => void
  failed: (error: Error) => void
}

export class Dropped extends Error {
  constructor() {
    super('a newer request took this one’s place')
  }
}

export class Queue {
  private hovering: Job | null = null
  private asked: Job[] = []
  private tiles: Job[] = []

  /** Puts the newest pointer position in; the one still waiting is dropped. */
  hover(job: Job): void {
    this.hovering?.failed(new Dropped())
    this.hovering = job
  }

  ask(job: Job): void {
    this.asked.push(job)
  }

  tile(job: Job): void {
    this.tiles.push(job)
  }

  /** Drops every tile that has not begun: the view has moved on. */
  cancelTiles(): void {
    for (const job of this.tiles.splice(0)) job.failed(new Dropped())
  }

  next(): Job | null {
    const job = this.hovering ?? this.asked.shift() ?? this.tiles.shift() ?? null
    if (job === this.hovering) this.hovering = null
    return job
  }

  /** Drops everything, for instance when decoding has been switched off. */
  clear(error: Error): void {
    const waiting = [this.hovering, ...this.asked, ...this.tiles].filter((job) => job !== null)
    this.hovering = null
    this.asked = []
    this.tiles = []
    for (const job of waiting) job.failed(error)
  }
}
