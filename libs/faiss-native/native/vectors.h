// Searching, indexes and checksums for Node.
#pragma once
#include <napi.h>

namespace kindred {

void InitVectors(Napi::Env env, Napi::Object exports);

}  // namespace kindred
