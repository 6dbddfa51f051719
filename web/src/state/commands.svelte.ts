/** Everything a person can do, once: the keyboard, the palette and the help all read this list. */

import { untrack } from 'svelte'

export interface Command {
  id: string
  title: string
  group: 'Map' | 'Pins' | 'Classes' | 'Layers' | 'Morph' | 'Regions' | 'Picture' | 'Sliders' | 'Codes' | 'Levels' | 'Film' | 'Play' | 'Page' | 'Images' | 'Machine'
  /** Keys as in "Shift+B", "Ctrl+K", "ArrowLeft", "?". */
  keys?: string[]
  /** Kept out of the palette where a list of them would only be in the way. */
  hidden?: boolean
  available?: () => boolean
  run: (event?: KeyboardEvent) => void
}

export class Commands {
  list = $state.raw<Command[]>([])

  /** Adds commands; returns what takes them away again. */
  add(...commands: Command[]): () => void {
    this.list = [...untrack(() => this.list), ...commands]
    return () => {
      this.list = this.list.filter((command) => !commands.includes(command))
    }
  }

  /** The command a key press asks for, the latest added first. */
  of(event: KeyboardEvent): Command | undefined {
    const pressed = keyName(event)
    return this.list.findLast(
      ({ keys, available }) => keys?.includes(pressed) && (available?.() ?? true),
    )
  }
}

/** "Shift+B" for the event: characters stand for themselves, letters are capital. */
export function keyName(event: KeyboardEvent): string {
  const { key } = event
  const letter = /^[a-z]$/i.test(key)
  const name = event.altKey && event.code.startsWith('Digit') ? event.code.slice(5) : key
  const shift = event.shiftKey && (letter || name.length > 1)
  const modifiers = [
    (event.ctrlKey || event.metaKey) && 'Ctrl',
    event.altKey && 'Alt',
    shift && 'Shift',
  ].filter(Boolean)
  return [...modifiers, letter ? name.toUpperCase() : name].join('+')
}
