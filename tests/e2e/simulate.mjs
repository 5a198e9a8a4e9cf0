// What an IAM engine that is not ours says of requests: reads {policy, requests} from standard input, and answers
// {name: "Allowed" | "ImplicitlyDenied" | ...}. NODE_ROOT has node_modules.
import { createRequire } from 'node:module'

const require = createRequire(`${process.env.NODE_ROOT}/`)
const { runSimulation } = require('@cloud-copilot/iam-simulate')

let text = ''
for await (const part of process.stdin) text += part
const { policy, requests } = JSON.parse(text)
const said = {}
for (const { name, action, resource, context, trust } of requests) {
  const result = await runSimulation({
    request: {
      principal: 'arn:aws:sts::123456789012:assumed-role/function/session',
      action,
      resource: { resource, accountId: resource.split(':')[4] || '123456789012' },
      contextVariables: context ?? {},
    },
    identityPolicies: [{ name: 'policy', policy }],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(trust ? { resourcePolicy: trust } : {}),
  }, {})
  said[name] = result.overallResult ?? result.analysis?.result ?? JSON.stringify(result)
}
console.log(JSON.stringify(said))
