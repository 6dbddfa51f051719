/** Discrete codes: which vectors they stand for, and which code lies near a point. */

/** How a discrete code is laid out: z has `parts`, each the sum of one vector of every table. */
export interface CodesAbout {
  parts: number
  tables: number
  /** Codes in each table. */
  size: number
}

export type Indices = Uint8Array | Uint16Array

export class Codebook {
  readonly parts: number
  readonly tables: number
  readonly size: number
  /** Numbers of one part of z. */
  private readonly width: number

  constructor(
    private readonly vectors: Float32Array,
    { parts, tables, size }: CodesAbout,
  ) {
    ;[this.parts, this.tables, this.size] = [parts, tables, size]
    this.width = vectors.length / (tables * size)
  }

  /** Indices that make one code. */
  get positions(): number {
    return this.parts * this.tables
  }

  /** Vectors of codes, one code after the other. */
  lookup(codes: ArrayLike<number>): Float32Array {
    const { tables, width } = this
    const z = new Float32Array((codes.length / tables) * width)
    for (let n = 0; n < codes.length; n++) {
      const from = this.at(n % tables, codes[n])
      const to = Math.floor(n / tables) * width
      for (let d = 0; d < width; d++) z[to + d] += this.vectors[from + d]
    }
    return z
  }

  /**
   * The code near a point: table by table, the vector nearest to what is left. With a `beam` so many
   * beginnings are followed at once, which finds the code of a vector where several tables add up.
   */
  nearest(z: Float32Array, beam = 1): Uint16Array {
    const { parts, tables, width } = this
    const codes = new Uint16Array(parts * tables)
    for (let part = 0; part < parts; part++)
      codes.set(this.nearestOfPart(z.subarray(part * width, (part + 1) * width), beam), part * tables)
    return codes
  }

  /** The vector of the code near a point. */
  snap = (z: Float32Array): Float32Array => this.lookup(this.nearest(z))

  private nearestOfPart(z: Float32Array, beam: number): number[] {
    let begun: { codes: number[]; left: Float32Array; off: number }[] = [{ codes: [], left: z, off: 0 }]
    for (let table = 0; table < this.tables; table++) {
      const ahead = begun.flatMap(({ codes, left }) =>
        this.closest(table, left, beam).map(({ code, off }) => ({ codes: [...codes, code], left, off })),
      )
      begun = ahead.sort((a, b) => a.off - b.off).slice(0, beam)
      for (const one of begun) one.left = this.without(table, one.codes[table], one.left)
    }
    return begun[0].codes
  }

  /** The codes of a table nearest to a point, the nearest first. */
  private closest(table: number, z: Float32Array, count: number): { code: number; off: number }[] {
    const best: { code: number; off: number }[] = []
    for (let code = 0; code < this.size; code++) {
      const off = this.off(table, code, z)
      if (best.length === count && off >= best[count - 1].off) continue
      let at = best.length
      while (at > 0 && best[at - 1].off > off) at--
      best.splice(at, 0, { code, off })
      if (best.length > count) best.pop()
    }
    return best
  }

  /** Squared distance of a vector from a point. */
  private off(table: number, code: number, z: Float32Array): number {
    const from = this.at(table, code)
    let sum = 0
    for (let d = 0; d < this.width; d++) sum += (z[d] - this.vectors[from + d]) ** 2
    return sum
  }

  private without(table: number, code: number, z: Float32Array): Float32Array {
    const from = this.at(table, code)
    return z.map((value, d) => value - this.vectors[from + d])
  }

  private at(table: number, code: number): number {
    return (table * this.size + code) * this.width
  }
}

/** How often each code occurs at one position of the images' codes (N × M). */
export function usage(codes: Indices, positions: number, at: number, size: number): Uint32Array {
  const counts = new Uint32Array(size)
  for (let n = at; n < codes.length; n += positions) counts[codes[n]]++
  return counts
}

/** Codes by how often they occur, the most frequent first; those that never do come last, in order. */
export const byUse = (counts: Uint32Array): number[] =>
  Array.from(counts, (_, code) => code).sort((a, b) => counts[b] - counts[a] || a - b)

/** The images that have a code at a position. */
export function holders(codes: Indices, positions: number, at: number, code: number): number[] {
  const found: number[] = []
  for (let n = 0; n * positions < codes.length; n++)
    if (codes[n * positions + at] === code) found.push(n)
  return found
}

/** Columns of a grid of so many cells: near to square, and rows that come out even where they can. */
export function columnsFor(cells: number): number {
  const side = Math.sqrt(cells)
  for (let columns = Math.ceil(side); columns <= 2 * side; columns++)
    if (cells % columns === 0) return columns
  return Math.ceil(side)
}
