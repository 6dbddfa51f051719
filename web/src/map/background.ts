/** The decoded background: the coarse picture that came with the page, then tiles for the view. */

import { untrack } from 'svelte'
import { levelFor, needed, parent, Recent, rowCells, sideFor, tileBox, tileKey } from '../core/tiles'
import type { Tile } from '../core/tiles'
import { cut, rgba } from '../core/originals'
import type { Box, Point, View } from '../core/view'
import type { Job } from '../engine/engine'
import type { Explorer } from '../state/explorer.svelte'

interface Block {
  canvas: OffscreenCanvas
  /** Rows asked for and rows there. */
  asked: number
  done: number
}

/** Cells are this wide at least, in css pixels: as wide as the images, within reason. */
const cellFor = (imageSize: number): number => Math.min(Math.max(imageSize, 28), 64)

/** Rows of cells that are decoded at once while a training makes all of them old many times a second. */
const TOGETHER = 4
const BLOCKS = 256
const ANCESTORS = 5

export class Background {
  private blocks = new Recent<Block>(BLOCKS)
  /** What was decoded before the decoder, or the slice, became another: shown until there is newer. */
  private former: Recent<Block> | null = null
  private readonly image: number
  private readonly side: number
  private wanted: Tile[] = []
  /** The tiles that were drawn when last all of them were whole. */
  private settled: Tile[] = []
  private drawn: unknown[] = []
  private basis: Float32Array | null = null
  private picture: ImageBitmap | null = null
  /** The picture whose cells are whole images. */
  private atlas: ImageBitmap | null = null
  /** Tiles with more to show than was drawn of them. */
  private fresh = new Set<string>()

  constructor(
    private readonly explorer: Explorer,
    private readonly changed: (part: 'background' | 'tiles') => void,
  ) {
    const [, height, width] = explorer.manifest.data.shape
    this.image = Math.max(height, width)
    this.side = sideFor(this.image)
  }

  /** Shows a picture of the whole window until tiles are there. */
  show(picture: ImageBitmap, cells: boolean): void {
    this.picture = picture
    if (cells) this.atlas = picture
    this.changed('background')
  }

  /** The image in the cell nearest to a place, for while nothing decodes; null where there is none. */
  cell(u: number, v: number): Float32Array | null {
    const { manifest, outdated, planes } = this.explorer
    const { field, data } = manifest
    if (!this.atlas || !field || outdated || planes.plane.id !== 'latent') return null
    const [C, height, width] = data.shape
    const at = (place: number, [lo, hi]: Point, count: number): number =>
      Math.min(count - 1, Math.max(0, Math.floor(((place - lo) / (hi - lo)) * count)))
    const [column, row] = [at(u, field.x, field.cols), field.rows - 1 - at(v, field.y, field.rows)]
    return cut(this.atlas, column * width, row * height, width, height, C)
  }

  /** The background of another view, with all of its tiles. */
  async of(view: View): Promise<Background> {
    const { networks } = this.explorer
    const other = new Background(this.explorer, () => {})
    other.picture = this.picture
    if (networks.engine) {
      other.plan(view)
      for (let job = other.next(); job; job = other.next()) job.done(await networks.decode(job.z))
    }
    return other
  }

  /** Notes what the view needs; what was decoded for another slice is let go. */
  plan(view: View): void {
    const { plane } = this.explorer.planes
    const { pin } = this.explorer.pins
    const { condition } = this.explorer.networks
    const probe = untrack(() => this.explorer.probe.at)
    const slice = [plane, this.explorer.points.D > 2 && pin?.z, condition]
    if (slice.some((part, i) => part !== this.drawn[i])) {
      if (!plane.basis || plane.basis !== this.basis) this.former = null
      else {
        this.former ??= new Recent<Block>(BLOCKS)
        this.blocks.each((key, block) => block.done === this.side && this.former!.set(key, block))
      }
      this.blocks = new Recent<Block>(BLOCKS)
      this.settled = []
    }
    this.drawn = slice
    this.basis = plane.basis
    const centre = this.explorer.viewport.toPlane(view.width / 2, view.height / 2)
    const from: [number, number] = probe?.by === 'pointer' ? [probe.u, probe.v] : centre
    this.wanted = needed(view, this.level(view), this.side, from)
  }

  private level(view: View): number {
    const { snapshot, pace } = this.explorer.planes
    const coarse = pace ? 3 : snapshot ? 2 : 1
    return levelFor(view, coarse * cellFor(this.image))
  }

  /** The next rows of cells to decode: of the tile nearest to the pointer that is not whole. */
  next = (): Job | null => {
    for (const tile of this.wanted) {
      const block = this.block(tile)
      if (block.asked < this.side) return this.rows(tile, block)
    }
    return null
  }

  private block(tile: Tile): Block {
    const key = tileKey(tile)
    const known = this.blocks.get(key)
    if (known) return known
    const size = this.side * this.image
    const block = { canvas: new OffscreenCanvas(size, size), asked: 0, done: 0 }
    this.blocks.set(key, block)
    return block
  }

  /** One row, so that the pointer need not wait. */
  private rows(tile: Tile, block: Block): Job {
    const first = block.asked
    block.asked = Math.min(this.side, first + (this.explorer.planes.pace ? TOGETHER : 1))
    const rows = Array.from({ length: block.asked - first }, (_, n) => rowCells(tile, this.side, first + n))
    const codes = rows.flat().map(([u, v]) => this.explorer.toLatent(u, v))
    const { D } = this.explorer.points
    const z = new Float32Array(codes.length * D)
    codes.forEach((code, n) => z.set(code, n * D))
    return {
      z,
      count: codes.length,
      done: (images) => this.fill(tile, block, first, images),
      failed: () => {},
    }
  }

  private fill(tile: Tile, block: Block, first: number, images: Float32Array): void {
    const [C, height, width] = this.explorer.manifest.data.shape
    const context = block.canvas.getContext('2d')!
    const [left, top] = [(this.image - width) >> 1, (this.image - height) >> 1]
    const count = images.length / (C * width * height)
    for (let n = 0; n < count; n++) {
      const pixels = rgba(images, C, width * height, n * C * width * height)
      const data = new ImageData(pixels, width, height)
      const [column, row] = [n % this.side, first + Math.floor(n / this.side)]
      context.putImageData(data, column * this.image + left, row * this.image + top)
    }
    block.done += count / this.side
    this.fresh.add(tileKey(tile))
    this.changed(this.wanted.every((one) => this.whole(one)) ? 'background' : 'tiles')
  }

  /** Draws the tiles again that have more to show, where the rest is there already. */
  touchUp(context: CanvasRenderingContext2D, view: View): void {
    for (const tile of this.wanted.filter((tile) => this.fresh.has(tileKey(tile)))) {
      const { x, y, width, height } = onScreen(view, boxOf(tile, this.side))
      context.save()
      context.beginPath()
      context.rect(x, y, width, height)
      context.clip()
      this.paint(context, view, [tile])
      context.restore()
    }
    this.fresh.clear()
  }

  draw(context: CanvasRenderingContext2D, view: View): void {
    this.paint(context, view, this.wanted)
  }

  private paint(context: CanvasRenderingContext2D, view: View, tiles: Tile[]): void {
    context.clearRect(0, 0, view.width, view.height)
    context.imageSmoothingQuality = 'low' // all is enlarged, and a frame has no time for more
    const complete = this.wanted.every((tile) => this.whole(tile))
    if (complete) this.settled = this.wanted
    for (const tile of tiles) this.drawTile(context, view, tile)
    if (!complete) this.drawSettled(context, view)
  }

  /** What was whole before, over finer cells that are not: a patchwork of both is hard to read. */
  private drawSettled(context: CanvasRenderingContext2D, view: View): void {
    const level = this.wanted[0]?.level
    if (!this.settled.length && !this.former) this.drawPicture(context, view)
    for (const tile of this.settled)
      if (tile.level !== level && this.whole(tile)) this.drawBlock(context, view, tile, this.blocks.get(tileKey(tile))!)
  }

  private drawBlock(context: CanvasRenderingContext2D, view: View, tile: Tile, { canvas }: Block): void {
    const { x, y, width, height } = onScreen(view, boxOf(tile, this.side))
    context.drawImage(canvas, x, y, width, height)
  }

  private whole(tile: Tile): boolean {
    return this.blocks.get(tileKey(tile))?.done === this.side
  }

  private drawPicture(context: CanvasRenderingContext2D, view: View): void {
    const { manifest, outdated } = this.explorer
    const { plane } = this.explorer.planes
    const { condition } = this.explorer.networks
    const { field } = manifest
    if (!this.picture || !field || outdated || condition || plane.id !== 'latent') return
    const { x, y, width, height } = onScreen(view, field)
    context.drawImage(this.picture, x, y, width, height)
  }

  private drawTile(context: CanvasRenderingContext2D, view: View, tile: Tile): void {
    const own = this.blocks.get(tileKey(tile))
    if (own?.done !== this.side) {
      const before = this.former?.get(tileKey(tile))
      if (before?.done) this.drawBlock(context, view, tile, before)
      else this.drawAncestor(context, view, tile)
    }
    if (own?.done === this.side || this.former) if (own?.done) this.drawBlock(context, view, tile, own)
  }

  /** The part of the nearest coarser tile that lies under this one. */
  private drawAncestor(context: CanvasRenderingContext2D, view: View, tile: Tile): void {
    let ancestor = tile
    for (let up = 1; up <= ANCESTORS; up++) {
      ancestor = parent(ancestor)
      const block = this.blocks.get(tileKey(ancestor))
      if (block?.done !== this.side) continue
      const share = 2 ** up
      const size = block.canvas.width / share
      const column = tile.i - ancestor.i * share
      const row = share - 1 - (tile.j - ancestor.j * share)
      const { x, y, width, height } = onScreen(view, boxOf(tile, this.side))
      context.drawImage(block.canvas, column * size, row * size, size, size, x, y, width, height)
      return
    }
  }
}

export function boxOf(tile: Tile, side: number): Box {
  const [left, bottom, width] = tileBox(tile, side)
  return { x: [left, left + width], y: [bottom, bottom + width] }
}

/** The box in whole css pixels, so that neighbours leave no seam. */
export function onScreen(view: View, box: Box): DOMRect {
  const left = Math.round(view.x + box.x[0] * view.scale)
  const right = Math.round(view.x + box.x[1] * view.scale)
  const top = Math.round(view.y - box.y[1] * view.scale)
  const bottom = Math.round(view.y - box.y[0] * view.scale)
  return new DOMRect(left, top, right - left, bottom - top)
}
