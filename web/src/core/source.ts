/** Where the page's blobs come from. */

import { PageError, type Manifest } from './manifest'
import { dequantise, fromBase64, numbers, unpack, type Parcel } from './unpack'

export abstract class DataSource {
  constructor(readonly manifest: Manifest) {}

  /** The blob called `name` as it comes, for whoever unpacks it. */
  abstract parcel(name: string): Promise<Parcel>

  /** The unpacked and verified bytes of the blob called `name`. */
  async bytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return unpack(await this.parcel(name))
  }

  /** Resolves once all that the page carries has been read; PageError where it breaks off. */
  abstract whole(): Promise<void>

  has(name: string): boolean {
    return name in this.manifest.blobs
  }

  /** The blob as float32: dequantised, widened, or as it is. */
  async floats(name: string): Promise<Float32Array> {
    const entry = this.manifest.blobs[name]
    const stored = numbers(entry, await this.bytes(name))
    if (entry.scale) return dequantise(stored as Uint8Array | Uint16Array, entry.scale)
    return stored instanceof Float32Array ? stored : Float32Array.from(stored)
  }

  /** The blob as whole numbers. */
  async integers(name: string): Promise<Uint8Array | Uint16Array | Uint32Array> {
    const stored = numbers(this.manifest.blobs[name], await this.bytes(name))
    if (stored instanceof Float32Array) throw new PageError(`“${name}” holds no whole numbers.`)
    return stored
  }

  /** The picture in the blob. */
  async bitmap(name: string): Promise<ImageBitmap> {
    return createImageBitmap(new Blob([await this.bytes(name)]))
  }
}

export type Page = Pick<Document, 'getElementById' | 'readyState'>

/** Blobs embedded in the page as base64, which may still be being read. The texts stay: a saved copy carries them on. */
export class InlineSource extends DataSource {
  constructor(
    manifest: Manifest,
    private readonly page: Page,
  ) {
    super(manifest)
  }

  async parcel(name: string): Promise<Parcel> {
    await this.until(() => Boolean(this.page.getElementById(`blob-${name}`)?.nextSibling))
    const slot = this.page.getElementById(`blob-${name}`)
    if (!slot) throw new PageError(`This file is incomplete: “${name}” is missing. Save it again.`)
    return { name, entry: this.manifest.blobs[name], packed: decoded(name, slot.textContent ?? '') }
  }

  async whole(): Promise<void> {
    await this.until(() => false)
    if (!this.page.getElementById('end'))
      throw new PageError('This file is incomplete: its end is missing. Copy or save it again.')
  }

  /** Waits for something in the page, as long as there is more of the page to come. */
  private async until(there: () => boolean): Promise<void> {
    while (this.page.readyState === 'loading' && !there())
      await new Promise((resolve) => setTimeout(resolve, POLL))
  }
}

const POLL = 4

function decoded(name: string, text: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64(text.trim())
  } catch {
    throw new PageError(`This file is incomplete: “${name}” breaks off. Copy or save it again.`)
  }
}
