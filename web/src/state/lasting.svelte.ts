/** State that belongs to the explorer, not to the panel that first asks for it. */

import type { Explorer } from './explorer.svelte'

/**
 * What finds the explorer's one T, made at the first call. Its derived values have an owner of their own: those of a panel's
 * effect go stale when the panel is closed.
 */
export function oneOf<T>(make: (explorer: Explorer) => T): (explorer: Explorer) => T {
  const all = new WeakMap<Explorer, { it: T }>()
  return (explorer) => {
    const known = all.get(explorer)
    if (known) return known.it
    let made!: T
    $effect.root(() => {
      made = make(explorer)
    })
    all.set(explorer, { it: made })
    return made
  }
}
