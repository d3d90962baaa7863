# Entries of all 256 vectors.
#
# A stub pushes an error code of 0 where the CPU pushed none, then the vector. From ring 3 the trap belongs to user.rs
# (`user_trap_return`): nothing has been clobbered, GS is still the user's. From ring 0 it goes to `kernel_trap`.
# NMI, double fault and machine check run on their own stacks and may find any GS base, also one that ring 3 made to look like the
# kernel's (WRGSBASE): they take the kernel's from above their stack, where gdt.rs has put it, and give back what they found.

.set CS_OFFSET, 24
.set MSR_GS_BASE, 0xc0000101
# Registers, vector, error code and the CPU's five words: what lies above them is the stack's top.
.set TOP_OFFSET, 15 * 8 + 2 * 8 + 5 * 8

.macro SAVE_REGISTERS
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro RESTORE_REGISTERS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp                      # vector, error code
.endm

.section .text.trap, "ax"

# Stubs are 16 bytes apart; `idt.rs` computes their addresses.
.balign 16
.global trap_stubs
trap_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .else
    pushq $0
    .endif
    pushq $vector
    .if vector == 2 || vector == 8 || vector == 18
    jmp paranoid_entry
    .else
    jmp trap_entry
    .endif
    .set vector, vector + 1
.endr

.balign 16
.weak user_trap_return
trap_entry:
    testb $3, CS_OFFSET(%rsp)
    jnz {user_trap_return}
    cld
    SAVE_REGISTERS
    movq %rsp, %rdi
    movq %rsp, %rbx                     # preserved by the call; the CPU aligned the frame, not this stack
    andq $-16, %rsp
    call kernel_trap
    movq %rbx, %rsp
    RESTORE_REGISTERS
    iretq

.balign 16
paranoid_entry:
    cld
    SAVE_REGISTERS
    movl $MSR_GS_BASE, %ecx
    rdmsr
    movl %eax, %r12d
    movl %edx, %r13d
    movq TOP_OFFSET(%rsp), %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    movq %rsp, %rdi
    movq %rsp, %rbx
    andq $-16, %rsp
    call paranoid_trap
    movl $MSR_GS_BASE, %ecx
    movl %r12d, %eax
    movl %r13d, %edx
    wrmsr
    movq %rbx, %rsp
    RESTORE_REGISTERS
    iretq
