// SPDX-License-Identifier: GPL-2.0-or-later
// Loads programs of the object synward.bpf.o.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "lib/maps.h"
#include "lib/result.h"

struct bpf_object;
struct bpf_program;

namespace synward {

// One program of the object, loaded. The programs of other names stay out.
// Keeps its maps alive. Move-only.
class LoadedProgram {
  public:
    // With maps of its own; room for so many flows and sources.
    [[nodiscard]] static Result<LoadedProgram> with_own_maps(const std::string& object, const char* program,
                                                             std::uint32_t flows, std::uint32_t sources);
    // With the maps of `maps`, by name.
    [[nodiscard]] static Result<LoadedProgram> with_maps(const std::string& object, const char* program,
                                                         const MapSet& maps);

    [[nodiscard]] int fd() const;
    [[nodiscard]] bpf_program* program() const { return program_; }

  private:
    struct Close {
        void operator()(bpf_object* object) const;
    };
    using Object = std::unique_ptr<bpf_object, Close>;
    LoadedProgram(Object object, bpf_program* program) : object_(std::move(object)), program_(program) {}
    static Result<LoadedProgram> open(const std::string& path, const char* program);
    Result<void> load(const std::string& path, const char* program);

    Object object_;
    bpf_program* program_;
};

// libbpf and libxdp print to stderr unless told otherwise: from now on what they
// say is kept for error messages. Called by whatever here uses them.
void capture_libbpf_messages();
// The last warnings of the calling thread since the previous call, as one line.
[[nodiscard]] std::string take_libbpf_messages();

}  // namespace synward
