/** What is decoded next: the pointer's image first, then what was asked for, the background last. */

/** Inputs of the decoder besides z. */
export interface Told {
  /** Weights of the classes. */
  c?: Float32Array
  /** Layers below the top of a ladder: values of those kept, noise for those drawn. */
  below?: Float32Array
  /** 1 for each layer below the top that is kept, 0 for those drawn. */
  keep?: Float32Array
}

export interface Job {
  /** Latent codes, one after the other. */
  z: Float32Array
  count: number
  /** What the decoder is told besides, row by row; the usual where nothing is said. */
  told?: Told
  done: (images: Float32Array<ArrayBuffer>) => void
  failed: (error: Error) => void
}

export class Dropped extends Error {
  constructor() {
    super('a newer request took this one’s place')
  }
}

export class Queue {
  /** Gives the most urgent piece of background for the current view, or null. */
  background: () => Job | null = () => null
  private hovering: Job | null = null
  private asked: Job[] = []

  /** Puts the newest pointer position in; the one still waiting is dropped. */
  hover(job: Job): void {
    this.hovering?.failed(new Dropped())
    this.hovering = job
  }

  ask(job: Job): void {
    this.asked.push(job)
  }

  next(): Job | null {
    const hovering = this.hovering
    this.hovering = null
    return hovering ?? this.asked.shift() ?? this.background()
  }

  /** Gives up everything that waits, for instance when decoding has been switched off. */
  clear(error: Error): void {
    const waiting = [this.hovering, ...this.asked].filter((job) => job !== null)
    this.hovering = null
    this.asked = []
    this.background = () => null
    for (const job of waiting) job.failed(error)
  }
}
