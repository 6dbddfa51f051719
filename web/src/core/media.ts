/** Films as files: GIF everywhere, MP4 or WebM where the browser records canvases. */

import { applyPalette, GIFEncoder, quantize } from 'gifenc'
import { rgba } from './originals'

/** Images C × H × W of one film, values in [0, 1]. */
export interface Film {
  frames: readonly Float32Array[]
  shape: readonly [number, number, number]
}

/** Pixels repeated `scale` times each way: enlarged without inventing anything. */
export function enlarged(
  pixels: Uint8ClampedArray,
  width: number,
  scale: number,
): Uint8ClampedArray<ArrayBuffer> {
  const height = pixels.length / 4 / width
  const wide = width * scale
  const from = new Uint32Array(pixels.buffer, pixels.byteOffset, width * height)
  const to = new Uint32Array(wide * height * scale)
  for (let y = 0; y < height * scale; y++)
    for (let x = 0; x < wide; x++)
      to[y * wide + x] = from[Math.floor(y / scale) * width + Math.floor(x / scale)]
  return new Uint8ClampedArray(to.buffer)
}

const GREYS = Array.from({ length: 256 }, (_, grey) => [grey, grey, grey])

/**
 * The film as an endless GIF, `delay` milliseconds a frame. Grey films keep all 256 values. The caption's
 * pixels, as wide as the enlarged film, stand below every frame.
 */
export function toGIF(
  { frames, shape: [C, H, W] }: Film,
  delay: number,
  scale = 4,
  caption = new Uint8ClampedArray(),
): Uint8Array<ArrayBuffer> {
  const gif = GIFEncoder()
  const height = H * scale + caption.length / (4 * W * scale)
  frames.forEach((frame, i) => {
    const pixels = new Uint8ClampedArray(4 * W * scale * height)
    pixels.set(enlarged(rgba(frame, C, H * W), W, scale))
    pixels.set(caption, pixels.length - caption.length)
    const palette = C === 1 ? GREYS : quantize(pixels, 256)
    const index = C === 1 ? pixels.filter((_, at) => at % 4 === 0) : applyPalette(pixels, palette)
    const bytes = new Uint8Array(index)
    const first = C === 1 && i > 0 ? undefined : palette
    gif.writeFrame(bytes, W * scale, height, { palette: first, delay, repeat: 0 })
  })
  gif.finish()
  return gif.bytes()
}

/** Lines of text as the pixels of a caption so wide: white on black, the first line strong. */
export function captioned(lines: readonly string[], width: number): Uint8ClampedArray<ArrayBuffer> {
  const canvas = new OffscreenCanvas(width, 6 + 16 * lines.length)
  const context = canvas.getContext('2d')!
  context.fillRect(0, 0, width, canvas.height)
  context.fillStyle = '#ffffff'
  context.textAlign = 'center'
  lines.forEach((line, i) => {
    context.font = `${i ? '11px' : '600 13px'} system-ui, sans-serif`
    context.fillText(line, width / 2, 15 + 16 * i, width - 8)
  })
  return new Uint8ClampedArray(context.getImageData(0, 0, width, canvas.height).data)
}

export interface Video {
  name: string
  ending: string
  type: string
}

const VIDEOS: readonly Video[] = [
  { name: 'MP4', ending: 'mp4', type: 'video/mp4' },
  { name: 'WebM', ending: 'webm', type: 'video/webm' },
]

/** What this browser can record a canvas as: MP4, which plays everywhere, before WebM; null: nothing. */
export const recordable = (): Video | null =>
  (typeof MediaRecorder === 'function' &&
    VIDEOS.find(({ type }) => MediaRecorder.isTypeSupported(type))) ||
  null

/** The film as a video, recorded in real time while `draw(i)` paints its frames on the canvas. */
export async function toVideo(
  canvas: HTMLCanvasElement,
  { type }: Video,
  count: number,
  delay: number,
  draw: (frame: number) => void,
): Promise<Blob> {
  const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: type })
  const parts: Blob[] = []
  recorder.ondataavailable = ({ data }) => parts.push(data)
  const stopped = new Promise((done) => (recorder.onstop = done))
  recorder.start()
  for (let i = 0; i <= count; i++) {
    draw(Math.min(i, count - 1))
    await new Promise((done) => setTimeout(done, delay))
  }
  recorder.stop()
  await stopped
  return new Blob(parts, { type })
}

/** Rows of films as one picture, a frame beside the other, with names to their left. */
export function drawStrips(
  context: CanvasRenderingContext2D,
  rows: readonly { name: string; film: Film }[],
  { scale = 2, gap = 2, names = 110, ink = '#111418', paper = '#ffffff' } = {},
): void {
  const [C, H, W] = rows[0].film.shape
  const [w, h] = [W * scale, H * scale]
  const count = Math.max(...rows.map(({ film }) => film.frames.length))
  context.canvas.width = names + count * (w + gap) + gap
  context.canvas.height = rows.length * (h + gap) + gap
  context.fillStyle = paper
  context.fillRect(0, 0, context.canvas.width, context.canvas.height)
  context.fillStyle = ink
  context.font = '13px system-ui, sans-serif'
  context.textBaseline = 'middle'
  rows.forEach(({ name, film }, row) => {
    const top = gap + row * (h + gap)
    context.fillText(name, 8, top + h / 2, names - 16)
    film.frames.forEach((frame, i) => {
      const pixels = new ImageData(enlarged(rgba(frame, C, H * W), W, scale), w, h)
      context.putImageData(pixels, names + gap + i * (w + gap), top)
    })
  })
}
