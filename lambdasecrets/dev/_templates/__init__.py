"""Templates of CloudFormation, SAM and the CDK: reading them, and what their roles allow."""
