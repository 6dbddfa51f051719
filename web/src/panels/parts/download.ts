/** Hands files and texts over to the person. */

import type { Explorer } from '../../state/explorer.svelte'

/** Saves a file under a name. */
export function download(
  name: string,
  content: BlobPart | Blob,
  type = 'application/octet-stream',
): void {
  const file = content instanceof Blob ? content : new Blob([content], { type })
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

/** Puts a text on the clipboard and says so. */
export async function copy(explorer: Explorer, text: string, what: string): Promise<void> {
  const done = await navigator.clipboard.writeText(text).then(
    () => true,
    () => copyByHand(text),
  )
  explorer.notice = done
    ? { tone: 'info', text: `${what} copied.` }
    : {
        tone: 'warning',
        text: `The browser refused the clipboard; the ${what.toLowerCase()} was not copied.`,
      }
  explorer.announce(explorer.notice.text)
}

/** For pages that are shown inside others, where the clipboard's interface is closed. */
function copyByHand(text: string): boolean {
  const area = document.body.appendChild(document.createElement('textarea'))
  area.value = text
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}
