// SPDX-License-Identifier: GPL-2.0-or-later
// A network namespace in which every address is local and any port can have a listener.
#pragma once

#include <cstdint>
#include <map>

#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward::replay {

class World {
  public:
    World() = default;
    // Moves the calling thread there, for good. Nobody outside sees it, and it ends with
    // the process.
    [[nodiscard]] static Result<World> enter();
    // IPv4 and IPv6, on every address; nothing if it does already.
    Result<void> listen(std::uint16_t port);

  private:
    std::map<std::uint16_t, Descriptor> listeners_;
};

}  // namespace synward::replay
