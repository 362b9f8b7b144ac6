// Ask the search of the built site: node site_search.mjs WORKER INDEX, with a JSON list of queries on stdin.
// Prints for each query the locations of its first hits, in the order in which a reader sees them.
import fs from "node:fs"
import vm from "node:vm"

const [, , worker, index] = process.argv
const replies = []
let wake = () => {}
globalThis.self = {
  postMessage(message) {
    replies.push(message)
    wake()
  },
}
vm.runInThisContext(fs.readFileSync(worker, "utf8"))

async function ask(message) {
  self.onmessage({ data: message })
  while (!replies.length) await new Promise((resolve) => (wake = resolve))
  return replies.shift()
}

const data = JSON.parse(fs.readFileSync(index, "utf8"))
await ask({ type: 0, data })
const found = {}
for (const query of JSON.parse(fs.readFileSync(0, "utf8"))) {
  const reply = await ask({ type: 2, data: { input: query } })
  found[query] = (reply.data?.items ?? []).map((item) => data.items[item.id].location)
}
console.log(JSON.stringify(found))
