// What a function in another language does: the port of the extension is written in, the token is in the environment.
const headers = { "X-Aws-Parameters-Secrets-Token": process.env.AWS_SESSION_TOKEN };

async function ask(path) {
  for (let attempts = 100; ; attempts--) {
    try {
      const response = await fetch(`http://localhost:2773${path}`, { headers });
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
      return await response.json();
    } catch (error) {
      // The stand-in starts after the container whose network it is in.
      if (attempts === 0 || error.cause?.code !== "ECONNREFUSED") throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const secret = await ask(`/secretsmanager/get?secretId=${encodeURIComponent("dev/orders/database")}`);
const parameter = await ask(`/systemsmanager/parameters/get?name=${encodeURIComponent("/orders/page-size")}`);
console.log(JSON.parse(secret.SecretString).host, parameter.Parameter.Value);
