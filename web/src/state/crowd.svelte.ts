/** All codes of a set that only the server has: the tiles in view, regions, and single images. */

import { address, joined, nearestLevel, nearestRow, occupied, readTile, type Counts, type Near, type PyramidEntry } from '../core/pyramid'
import type { Stroke } from '../core/lasso'
import type { Manifest } from '../core/manifest'
import { Points } from '../core/points'
import { levelFor, needed, Recent, tileKey, type Tile } from '../core/tiles'
import type { Point, View } from '../core/view'
import type { All } from '../engine/backend'
import type { Selected } from './regions.svelte'

/** css pixels: the least width of a cell. */
const CELL = 2
const KEPT = 256
/** Tiles asked for at once: a browser opens six connections to a server. */
const AT_ONCE = 6
const NOBODY = joined([])

export class Crowd {
  /** The tiles that are drawn, and the codes in them that came one by one. */
  shown = $state.raw<readonly Tile[]>([])
  near: Near = NOBODY
  /** The codes in the other tiles that are drawn. */
  counted = 0
  private wanted: Tile[] = []
  private readonly tiles = new Recent<Near | Counts>(KEPT)
  private readonly asked = new Set<string>()
  private readonly regions = new Recent<Selected | null>(KEPT)
  /** How many regions the server has answered. */
  private answers = $state(0)
  /** Whether it did not answer the last one. */
  silent = $state(false)

  constructor(
    private readonly manifest: Manifest,
    readonly entry: PyramidEntry,
    private readonly all: All,
  ) {}

  // -- tiles ------------------------------------------------------------------------------------

  /** Asks for what the view needs and is not there. */
  plan(view: View, centre: Point): void {
    const level = nearestLevel(levelFor(view, CELL), this.entry)
    this.wanted = needed(view, level, this.entry.side, centre).filter((tile) => occupied(tile, this.entry))
    this.advance()
  }

  content(tile: Tile): Near | Counts | undefined {
    return this.tiles.get(tileKey(tile))
  }

  /** Shows the tiles that have come, those of another level once all have; asks for the next ones. */
  private advance(): void {
    const here = this.wanted.filter((tile) => this.content(tile))
    if (here.length === this.wanted.length || this.shown[0]?.level === this.wanted[0]?.level) this.show(here)
    for (const tile of this.wanted) {
      if (this.asked.size >= AT_ONCE) return
      if (!this.content(tile) && !this.asked.has(tileKey(tile))) void this.ask(tile)
    }
  }

  private show(tiles: readonly Tile[]): void {
    if (String(tiles.map(tileKey)) === String(this.shown.map(tileKey))) return
    const contents = tiles.map((tile) => this.content(tile)!)
    this.near = joined(contents.filter((one): one is Near => 'places' in one))
    this.counted = contents.reduce((sum, one) => sum + ('counts' in one ? total(one.counts) : 0), 0)
    this.shown = tiles
  }

  private async ask(tile: Tile): Promise<void> {
    const key = tileKey(tile)
    this.asked.add(key)
    const answer = await this.all.tile(...address(tile, this.entry))
    this.asked.delete(key)
    if (!answer) return // asked again when the view moves
    this.tiles.set(key, readTile(answer))
    this.advance()
  }

  /** The row of the code within reach of a place; null where codes are not drawn one by one. */
  hit(at: [number, number], reach: number, shown: (label: number) => boolean): number | null {
    return nearestRow(this.near, at, reach, shown)
  }

  // -- regions and images -----------------------------------------------------------------------

  /** What strokes select, of these classes or of all; null until the server has counted. */
  selected(strokes: readonly Stroke[], classes: number[] | null): Selected | null {
    void this.answers
    if (!strokes.length) return null
    const request = JSON.stringify({ strokes, shown: classes })
    const known = this.regions.get(request)
    if (known === undefined) void this.count(request)
    return known ?? null
  }

  private async count(request: string): Promise<void> {
    this.regions.set(request, null)
    const found = await this.all.region(request)
    this.silent = !found
    if (!found) return
    const classes = found.classes
      .map((count, label) => ({ label, count }))
      .filter(({ count }) => count > 0)
      .sort((a, b) => b.count - a.count || a.label - b.label)
    const points = this.points(found)
    const members = Uint32Array.from({ length: points.count }, (_, n) => n)
    this.regions.set(request, { points, members, count: found.count, classes })
    this.answers++
  }

  /** A table of what strokes select; null where the server does not answer. */
  table = (strokes: readonly Stroke[], classes: number[] | null): Promise<Blob | null> =>
    this.all.table(JSON.stringify({ strokes, shown: classes }))

  /** One image by its id or its place in the set; null where there is none. */
  async image(which: { id: string } | { row: number }): Promise<Points | null> {
    const found = await this.all.image(which)
    return found && this.points(found)
  }

  private points({ rows, labels, z, ids, log_var }: Found): Points {
    const kinds = this.manifest.data.classes.length ? Uint16Array.from(labels) : null
    const spreads = log_var ? Float32Array.from(log_var) : null
    return new Points(this.manifest, Float32Array.from(z), spreads, kinds, null, null, null, rows, ids)
  }
}

const total = (counts: Uint32Array): number => counts.reduce((sum, count) => sum + count, 0)

type Found = NonNullable<Awaited<ReturnType<All['image']>>>
