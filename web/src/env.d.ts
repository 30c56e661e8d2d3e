// Vite's own types, and files that are no TypeScript.
/// <reference types="vite/client" />
